"""One produce and one fetch through foreign clients, the number on /metrics, and a kill -9 in between."""
import shutil
import subprocess

import pytest
from confluent_kafka import Consumer as LibrdkafkaConsumer
from confluent_kafka import Producer as LibrdkafkaProducer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic


# Against hanging; nothing is asserted about how long a client takes.
LIMIT_SECONDS = 90


def create(node, topic, partitions=1):
    admin = KafkaAdminClient(bootstrap_servers=node.bootstrap)
    admin.create_topics([NewTopic(topic, partitions, 1)])
    admin.close()


def read_all(node, topic, count, partition=0):
    consumer = KafkaConsumer(
        bootstrap_servers=node.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=LIMIT_SECONDS * 1000
    )
    consumer.assign([TopicPartition(topic, partition)])
    values = []
    for record in consumer:
        values.append((record.offset, record.value))
        if len(values) == count:
            break
    consumer.close()
    return values


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
def test_librdkafka_writes_and_kafka_python_reads(node, compression):
    if compression in ("snappy", "lz4", "zstd"):
        # kafka-python needs native packages for these: librdkafka reads them back instead.
        reader = "librdkafka"
    else:
        reader = "kafka-python"
    create(node, "events")
    producer = LibrdkafkaProducer(
        {"bootstrap.servers": node.bootstrap, "compression.type": compression or "none", "linger.ms": 5}
    )
    for number in range(1000):
        producer.produce("events", f"event {number}".encode())
    assert producer.flush(LIMIT_SECONDS) == 0
    if reader == "kafka-python":
        values = read_all(node, "events", 1000)
    else:
        consumer = LibrdkafkaConsumer(
            {"bootstrap.servers": node.bootstrap, "group.id": "g", "auto.offset.reset": "earliest"}
        )
        consumer.subscribe(["events"])
        values = []
        while len(values) < 1000:
            message = consumer.poll(LIMIT_SECONDS)
            assert message is not None and message.error() is None, message and message.error()
            values.append((message.offset(), message.value()))
        consumer.close()
    assert values == [(n, f"event {n}".encode()) for n in range(1000)]


def test_a_thousand_records_are_a_thousand_on_the_page(node):
    create(node, "orders", 3)
    name = "kafka_server_brokertopicmetrics_messagesin_total"
    before = node.metric(name) or 0
    producer = KafkaProducer(bootstrap_servers=node.bootstrap)
    for number in range(1000):
        producer.send("orders", b"x" * 100)
    producer.flush()
    producer.close()
    assert node.metric(name, topic="orders") == 1000
    total = [line for line in node.get("/metrics").splitlines() if line.startswith(name + " ")]
    assert len(total) == 1 and float(total[0].split()[1]) - before == 1000


def test_acknowledged_records_survive_kill_9(node):
    create(node, "kept")
    producer = KafkaProducer(bootstrap_servers=node.bootstrap, acks="all")
    for number in range(500):
        producer.send("kept", f"{number}".encode()).get(timeout=LIMIT_SECONDS)
    node.kill()
    node.start()
    assert read_all(node, "kept", 500) == [(n, f"{n}".encode()) for n in range(500)]


@pytest.mark.skipif(shutil.which("kcat") is None, reason="no kcat here")
def test_kcat_round_trip(node):
    lines = "".join(f"line {n}\n" for n in range(100))
    subprocess.run(
        ["kcat", "-P", "-b", node.bootstrap, "-t", "by-kcat"], input=lines.encode(), check=True, timeout=LIMIT_SECONDS
    )
    read = subprocess.run(
        ["kcat", "-C", "-b", node.bootstrap, "-t", "by-kcat", "-o", "beginning", "-e", "-q"],
        capture_output=True, check=True, timeout=LIMIT_SECONDS,
    )
    assert read.stdout.decode() == lines


def test_the_broker_stops_cleanly(node):
    create(node, "left")
    assert node.stop() == 0
