"""What a real Prometheus makes of the page, and the lag of a group as a client leaves it."""
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata
from test_first_light import create

LIMIT_SECONDS = 60


def wait_for(read, wanted):
    deadline = time.monotonic() + LIMIT_SECONDS
    while (seen := read()) != wanted:
        assert time.monotonic() < deadline, f"{seen} is not {wanted}"
        time.sleep(0.1)


def commit(node, group, offset):
    consumer = KafkaConsumer(bootstrap_servers=node.bootstrap, group_id=group, enable_auto_commit=False)
    partition = TopicPartition("events", 0)
    consumer.assign([partition])
    consumer.commit({partition: OffsetAndMetadata(offset, "", -1)})
    consumer.close()


@pytest.fixture
def busy(node):
    """A node with 111 records in events-0, of which group g has committed 30."""
    create(node, "events")
    producer = KafkaProducer(bootstrap_servers=node.bootstrap)
    for number in range(111):
        producer.send("events", b"event %d" % number)
    producer.close()
    commit(node, "g", 30)
    return node


def test_lag_is_what_is_not_committed(busy):
    labels = {"consumergroup": "g", "topic": "events"}
    wait_for(lambda: busy.metric("kafka_consumergroup_lag", partition="0", **labels), 81)
    assert busy.metric("kafka_consumergroup_current_offset", partition="0", **labels) == 30
    assert busy.metric("kafka_consumergroup_lag_sum", **labels) == 81
    assert busy.metric("kafka_topic_partition_current_offset", topic="events", partition="0") == 111
    wait_for(lambda: busy.metric("kafka_consumergroup_lag_seconds", partition="0", **labels) > 0, True)
    commit(busy, "g", 111)
    wait_for(lambda: busy.metric("kafka_consumergroup_lag", partition="0", **labels), 0)
    wait_for(lambda: busy.metric("kafka_consumergroup_lag_seconds", partition="0", **labels), 0)


def test_promtool_finds_no_error(busy):
    if shutil.which("promtool") is None:
        pytest.skip("no promtool")
    for page in ("/metrics", "/metrics/default", "/metrics/confluent", "/metrics/native"):
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=busy.get(page), capture_output=True, text=True, timeout=60
        )
        # 1 is a page that cannot be read; 3 are opinions about names, which rules and exporters made long ago.
        assert checked.returncode in (0, 3), f"{page}: {checked.stderr[:2000]}"
        if page == "/metrics/native":
            about_ours = [line for line in checked.stderr.splitlines() if re.match("pharos_|process_", line)]
            assert about_ours == []


def test_prometheus_scrapes_without_a_warning(busy, tmp_path):
    if shutil.which("prometheus") is None:
        pytest.skip("no Prometheus")
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        f"- {{job_name: pharos, static_configs: [{{targets: ['{busy.admin}']}}]}}\n"
    )
    with open(tmp_path / "log", "wb") as log:
        prometheus = subprocess.Popen(
            ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
             "--web.listen-address=127.0.0.1:0", "--log.level=debug"],
            stdout=log, stderr=log,
        )
    try:
        port = None

        def listening():
            nonlocal port
            found = re.search(r"msg=\"?Listening on\"? address=127.0.0.1:(\d+)", (tmp_path / "log").read_text())
            port = found and found.group(1)
            return port is not None

        wait_for(listening, True)

        def ready():
            # It listens before it answers queries, and says 503 until then.
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=10) as answer:
                    return answer.status == 200
            except urllib.error.URLError:
                return False

        wait_for(ready, True)

        def samples(query):
            url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
            with urllib.request.urlopen(url, timeout=10) as answer:
                return [float(it["value"][1]) for it in json.load(answer)["data"]["result"]]

        wait_for(lambda: samples("count_over_time(up[1m]) >= bool 3"), [1.0])
        assert samples("min_over_time(up[1m])") == [1.0]
        assert samples('kafka_consumergroup_lag{consumergroup="g"}') == [81.0]
        assert samples('kafka_server_brokertopicmetrics_messagesin_total{topic="events"}') == [111.0]
        log = (tmp_path / "log").read_text().splitlines()
        assert [line for line in log if "level=warn" in line or "level=error" in line] == []
    finally:
        prometheus.terminate()
        prometheus.wait(timeout=30)
