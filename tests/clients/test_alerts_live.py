"""Alerts for real: a broker under load, the shipped rules in a real Prometheus and Alertmanager (twenty times as
fast), and a webhook that must hear of each trouble, in words, and of its end."""
import os
import re
import shutil
import subprocess
import threading
import time

import pytest
from alerting import rehearsal
from alerting.rehearsal import wait_until
from confluent_kafka import KafkaException, Producer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

pytestmark = pytest.mark.skipif(bool(rehearsal.missing()), reason=f"no {', '.join(rehearsal.missing())}")
MEBIBYTE = 1 << 20
# How long a client may take on a busy machine; nothing is asserted about how long it takes.
LIMIT_SECONDS = 60
# A machine that is busy with other tests can bring these about.
OF_A_BUSY_MACHINE = {
    "BrokerDown", "ConsumerLagGrowing", "ConsumerLagSeconds", "FetchLatencyHigh", "MetadataLag", "NetworkProcessorsBusy",
    "ProduceLatencyBurn", "RequestHandlersBusy", "ScrapeFailing", "ScrapeSlow",
}
# For this many evaluations nothing may be said of a broker that is well: longer than most alerts wait.
EVALUATIONS = 40


@pytest.fixture
def rehearse(tmp_path):
    """`rehearse(default=ADDRESS, native=ADDRESS)` begins to watch a broker."""
    running = []

    def begin(default, native):
        directory = tmp_path / "watch"
        directory.mkdir()
        targets = {"pharos": default, "pharos-native": native}
        running.append(rehearsal.Rehearsal(directory, targets))
        return running[-1]

    yield begin
    for one in running:
        one.close()


def says(annotations, name, summary, description):
    assert annotations["summary"] == summary
    assert re.fullmatch(description, annotations["description"]), annotations["description"]
    assert annotations["runbook_url"] == f"docs/runbooks/{name}.md"


def create(node, *topics):
    admin = KafkaAdminClient(bootstrap_servers=node.bootstrap)
    admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs) for name, partitions, configs in topics])
    admin.close()


class Worker:
    """Works in a thread of its own from `start` until it is closed; what goes wrong there, `close` raises."""

    def __init__(self):
        self.finished = threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self):
        try:
            self.run()
        except Exception as failure:  # noqa: BLE001 - the test raises it
            self.failure = failure

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.finished.set()
        self.thread.join(timeout=LIMIT_SECONDS)
        assert not self.thread.is_alive(), f"{self} goes on for {LIMIT_SECONDS} s"
        if self.failure:
            raise self.failure


class Load(Worker):
    """Ten times a second until it is closed: a record to each of `topics`, and 200 kB to the twelve partitions of
    `uneven`, seven tenths of them to partition 7."""

    def __init__(self, node, *topics):
        super().__init__()
        self.topics = topics
        # A batch of what waited for a while must still fit into a topic that takes 10 kB at once.
        self.producer = Producer({"bootstrap.servers": node.bootstrap, "batch.num.messages": 50, "on_delivery": delivered})
        self.thread.start()

    def run(self):
        number = 0
        due = time.monotonic()
        while not self.finished.wait(max(0, due - time.monotonic())):
            due += 0.1
            for topic in self.topics:
                self.producer.produce(topic, b"x" * 100)
            for turn in range(10):
                number += 1
                partition = 7 if turn < 7 else number % 12
                self.producer.produce("uneven", b"x" * 20000, partition=partition)
            self.producer.poll(0)
        left = self.producer.flush(LIMIT_SECONDS / 2)
        assert left == 0, f"{left} records were not taken"


def delivered(error, _):
    if error:
        raise KafkaException(error)


class Member(Worker):
    """A member of group `g-TOPIC` that has read and committed once; it reads its topic all the time and commits when it
    is told to."""

    def __init__(self, node, topic):
        super().__init__()
        self.commit = threading.Event()
        self.consumer = KafkaConsumer(
            topic, bootstrap_servers=node.bootstrap, group_id=f"g-{topic}", enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        # kafka-python 3.0.12 forgets the answers to a join between two polls: a first one that is short may end before
        # they come, and then it is never given a partition.
        assert self.consumer.poll(timeout_ms=LIMIT_SECONDS * 1000), f"no record of {topic} came"
        self.consumer.commit()
        self.thread.start()

    def run(self):
        while not self.finished.is_set():
            self.consumer.poll(timeout_ms=100)
            if self.commit.is_set():
                self.consumer.commit()
        self.consumer.close()


def commit_end(node, topic, group):
    """Commits the end of partition 0, as a tool does that is no member."""
    consumer = KafkaConsumer(bootstrap_servers=node.bootstrap, group_id=group, enable_auto_commit=False)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    end = consumer.end_offsets([partition])[partition]
    consumer.commit({partition: OffsetAndMetadata(end, "", -1)})
    consumer.close()


def lose(node, topic, group, count):
    """Deletes the first `count` records of partition 0, of which the group had read none."""
    consumer = KafkaConsumer(bootstrap_servers=node.bootstrap, group_id=group, enable_auto_commit=False)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.commit({partition: OffsetAndMetadata(0, "", -1)})
    wait_until("there are records to lose", lambda: consumer.end_offsets([partition])[partition] > count)
    consumer.close()
    wait_until("the group is on the page", lambda: node.metric("kafka_consumergroup_lag", consumergroup=group))
    admin = KafkaAdminClient(bootstrap_servers=node.bootstrap)
    admin.delete_records({partition: count})
    admin.close()


def refuse(node, topic, size):
    producer = KafkaProducer(bootstrap_servers=node.bootstrap, max_request_size=MEBIBYTE)
    with pytest.raises(KafkaError):
        producer.send(topic, b"x" * size).get(timeout=LIMIT_SECONDS)
    producer.close()


def test_groups_and_topics(node, rehearse):
    create(
        node, ("late", 1, {}), ("stuck", 1, {}), ("lost", 1, {}), ("small", 1, {"max.message.bytes": "10000"}),
        ("uneven", 12, {"retention.bytes": str(8 * MEBIBYTE), "segment.bytes": str(4 * MEBIBYTE)}),
    )
    watch = rehearse(node.admin, node.admin)
    late = {"consumergroup": "g-late", "topic": "late"}
    stuck = {"consumergroup": "g-stuck", "topic": "stuck"}
    lost = {"consumergroup": "g-lost", "topic": "lost"}
    hot = {"topic": "uneven", "partition": "7"}
    with Load(node, "late", "stuck", "lost", "small") as load, Member(node, "stuck") as member:
        commit_end(node, "late", "g-late")
        assert watch.fires("Watchdog", "info", receiver="watchdog", cluster="pharos")
        wait_until("the last 10 minutes are known", lambda: watch.known() == {"pharos", "pharos-native"})
        lose(node, "lost", "g-lost", 40)
        # The counter of refused bytes of a topic is born with its first event.
        assert node.metric("kafka_server_brokertopicmetrics_bytesrejected_total", topic="small") is None
        refuse(node, "small", 20000)
        says(
            watch.fires("BytesRejected", "warning", topic="small"), "BytesRejected",
            "Topic small of rehearsal refuses records that are too large",
            r"19\.\d+kiB were refused within 10 minutes: larger than max\.message\.bytes of small\.",
        )
        says(
            watch.fires("GroupLostRecords", "critical", **lost), "GroupLostRecords",
            "Group g-lost of rehearsal lost records of topic lost",
            r"Retention deleted \d+(\.\d+)? records of lost within 10 minutes before g-lost had read them\.",
        )
        commit_end(node, "lost", "g-lost")
        says(
            watch.fires("ConsumerLagSeconds", "warning", **late), "ConsumerLagSeconds",
            "Group g-late of rehearsal is late on topic late",
            r"The oldest record of late that g-late has not committed waits for (\d+m )?\d+(\.\d+)?s\.",
        )
        says(
            watch.fires("GroupStalled", "critical", **stuck), "GroupStalled",
            "Group g-stuck of rehearsal stands still on topic stuck",
            "On 1 partitions of stuck records wait, and g-stuck, which has members, has committed nothing new for 10 minutes.",
        )
        assert watch.fires("GroupWithoutMembers", "warning", **late)
        says(
            watch.fires("HotPartition", "warning", **hot), "HotPartition",
            "Partition 7 of topic uneven of rehearsal is hot",
            r"[67]\d\.\d+% of the bytes of uneven go to partition 7\.",
        )
        load.close()
        member.commit.set()
        commit_end(node, "late", "g-late")
        watch.resolves("ConsumerLagSeconds", "warning", **late)
        watch.resolves("GroupWithoutMembers", "warning", **late)
        watch.resolves("GroupStalled", "critical", **stuck)
        watch.resolves("BytesRejected", "warning", topic="small")
        watch.resolves("GroupLostRecords", "critical", **lost)
        watch.resolves("HotPartition", "warning", **hot)
        expected = {"Watchdog", "BytesRejected", "GroupLostRecords", "GroupStalled", "GroupWithoutMembers", "HotPartition"}
        assert watch.heard() <= expected | OF_A_BUSY_MACHINE


def test_a_page_that_fails_and_a_broker_that_is_down(node, rehearse):
    # The same addresses after the restart.
    default, native = rehearsal.Relay(node.admin), rehearsal.Relay(node.admin)
    try:
        watch = rehearse(default.address, native.address)
        wait_until("both pages are scraped", lambda: watch.up() == {"pharos": "1", "pharos-native": "1"})
        wait_until("alerts are evaluated", lambda: watch.evaluations() >= EVALUATIONS)
        assert watch.heard() <= {"Watchdog"} | OF_A_BUSY_MACHINE
        native.broken = True
        failing = {"instance": "broker-1", "job": "pharos-native"}
        says(
            watch.fires("ScrapeFailing", "warning", **failing), "ScrapeFailing",
            "Page pharos-native of broker-1 of rehearsal cannot be scraped",
            "The broker answers on its other page; alerts that read job pharos-native are blind for it.",
        )
        native.broken = False
        watch.resolves("ScrapeFailing", "warning", **failing)
        node.kill()
        says(
            watch.fires("BrokerDown", "critical", instance="broker-1"), "BrokerDown",
            "Broker broker-1 of rehearsal is down",
            "Neither page of broker-1 could be scraped for a minute.",
        )
        node.start()
        default.target = native.target = node.admin
        watch.resolves("BrokerDown", "critical", instance="broker-1")
    finally:
        default.close()
        native.close()


@pytest.fixture
def small_disk(tmp_path):
    """A directory on a file system of its own, of 64 MiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    directory = tmp_path / "disk"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", directory], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.strip()}")
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)


def test_a_disk_that_fills(make_node, rehearse, small_disk):
    node = make_node(f"log.dirs={small_disk}/data", "log.segment.delete.delay.ms=1000")
    create(node, ("big", 1, {"segment.bytes": str(4 * MEBIBYTE)}))
    watch = rehearse(node.admin, node.admin)
    producer = KafkaProducer(bootstrap_servers=node.bootstrap, acks="all")

    def room():
        """Bytes until 4 % are free."""
        free, size = node.metric("pharos_log_dir_free_bytes"), node.metric("pharos_log_dir_size_bytes")
        return free - 0.04 * (free + size)

    while (left := room()) > 0:
        for _ in range(1 + int(left) // (64 << 10)):
            producer.send("big", os.urandom(64 << 10))
        producer.flush()
    producer.close()
    full = {"instance": "broker-1", "job": "pharos-native", "log_dir": f"{small_disk}/data"}
    says(
        watch.fires("LogDirFull", "critical", **full), "LogDirFull",
        f"Log directory {small_disk}/data of broker-1 of rehearsal is nearly full",
        r"[34]\.\d+% of what logs and free space have together is free\.",
    )
    admin = KafkaAdminClient(bootstrap_servers=node.bootstrap)
    admin.delete_topics(["big"])
    admin.close()
    watch.resolves("LogDirFull", "critical", **full)
