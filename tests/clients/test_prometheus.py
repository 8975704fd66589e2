"""What a real Prometheus makes of the pages in each format, and the lag of a group as a client leaves it."""
import contextlib
import http.server
import json
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata
from prometheus import listening_port, wait_for
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families
from test_first_light import create

PAGES = ("/metrics", "/metrics/default", "/metrics/confluent", "/metrics/native")
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

# Families with the names of kafka_exporter, on which boards rely: promtool would keep `_sum` to histograms.
NAMES_OF_OTHERS = {"kafka_consumergroup_current_offset_sum", "kafka_consumergroup_lag_sum"}


def commit(node, group, offset):
    consumer = KafkaConsumer(bootstrap_servers=node.bootstrap, group_id=group, enable_auto_commit=False)
    partition = TopicPartition("events", 0)
    consumer.assign([partition])
    consumer.commit({partition: OffsetAndMetadata(offset, "", -1)})
    consumer.close()


def work(node):
    """111 records in events-0, of which group g has committed 30."""
    create(node, "events")
    producer = KafkaProducer(bootstrap_servers=node.bootstrap)
    for number in range(111):
        producer.send("events", b"event %d" % number)
    producer.close()
    commit(node, "g", 30)
    return node


@pytest.fixture
def busy(node):
    return work(node)


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
    for page in PAGES:
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=busy.get(page), capture_output=True, text=True, timeout=60
        )
        # 1 is a page that cannot be read; 3 are opinions about names, which rules and exporters made long ago.
        assert checked.returncode in (0, 3), f"{page}: {checked.stderr[:2000]}"
        if page == "/metrics/native":
            opinions = [line for line in checked.stderr.splitlines() if line]
            assert {line.split(" ", 1)[0] for line in opinions} == NAMES_OF_OTHERS, opinions


def test_the_strict_parser_reads_every_page(busy):
    for page in PAGES:
        families = list(open_metrics_families(busy.get(page, accept=OPEN_METRICS)))
        assert len(families) > 10, page


@contextlib.contextmanager
def recording(node):
    """A way to the node's pages that remembers in which formats they went by."""
    formats = set()

    class Way(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            request = urllib.request.Request(f"http://{node.admin}{self.path}", headers=headers)
            with urllib.request.urlopen(request, timeout=10) as answer:
                body = answer.read()
                self.send_response(answer.status)
                formats.add(answer.headers["Content-Type"])
                for name in ("Content-Type", "Content-Encoding"):
                    if answer.headers[name]:
                        self.send_header(name, answer.headers[name])
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Way)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", formats
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Prometheus:
    def __init__(self, port):
        self.port = port

    def ask(self, path, **query):
        url = f"http://127.0.0.1:{self.port}{path}?" + urllib.parse.urlencode(query)
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def samples(self, query):
        return [float(it["value"][1]) for it in self.ask("/api/v1/query", query=query)["result"]]

    def series(self):
        """All that it has stored, but for what it says of the scrape itself."""
        found = {tuple(sorted(it.items())) for it in self.ask("/api/v1/series", **{"match[]": '{job="pharos"}'})}
        own = {"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added",
               "scrape_samples_post_metric_relabeling"}
        return {labels for labels in found if dict(labels)["__name__"] not in own}


@contextlib.contextmanager
def prometheus(target, directory, *features):
    """A Prometheus that has scraped the target three times; fails when it warned of anything."""
    directory.mkdir()
    (directory / "prometheus.yml").write_text(
        # The interval is the limit of a scrape, too, and a busy machine takes its time for a page.
        "global: {scrape_interval: 3s}\n"
        "scrape_configs:\n"
        f"- {{job_name: pharos, static_configs: [{{targets: ['{target}'], labels: {{instance: node}}}}]}}\n"
    )
    flags = [f"--enable-feature={','.join(features)}"] if features else []
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(
            ["prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
             "--web.listen-address=127.0.0.1:0", "--log.level=debug", *flags],
            stdout=log, stderr=log,
        )
    try:
        port = None

        def listening():
            nonlocal port
            port = listening_port(directory / "log")
            return port is not None

        wait_for(listening, True)

        def ready():
            # It listens before it answers queries, and says 503 until then.
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=10) as answer:
                    return answer.status == 200
            except OSError:
                return False

        wait_for(ready, True)
        seen = Prometheus(port)
        wait_for(lambda: seen.samples("count_over_time(up[1m]) >= bool 3"), [1.0])
        assert seen.samples("min_over_time(up[1m])") == [1.0]
        yield seen
        log = (directory / "log").read_text().splitlines()
        assert [line for line in log if "level=warn" in line or "level=error" in line] == []
    finally:
        process.terminate()
        process.wait(timeout=60)


needs_prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="no Prometheus")


@needs_prometheus
def test_prometheus_has_the_same_series_whatever_it_reads(busy, tmp_path):
    found = []
    for features, wanted in (((), OPEN_METRICS), (("native-histograms",), PROTOBUF)):
        with recording(busy) as (target, formats), prometheus(target, tmp_path / str(len(found)), *features) as seen:
            assert seen.samples('kafka_consumergroup_lag{consumergroup="g"}') == [81.0]
            assert seen.samples('kafka_server_brokertopicmetrics_messagesin_total{topic="events"}') == [111.0]
            counted = seen.samples('pharos_request_duration_seconds_bucket{request="Produce",le="+Inf"}')
            assert len(counted) == 1 and counted[0] > 0
            assert formats == {wanted}
            found.append(seen.series())
    assert len(found[0]) > 1000
    assert found[0] ^ found[1] == set()


@needs_prometheus
def test_native_histograms_answer_queries(make_node, tmp_path):
    node = work(make_node("metrics.native.histograms=true"))
    with prometheus(node.admin, tmp_path / "native", "native-histograms", "exemplar-storage") as seen:
        produce = 'pharos_request_duration_seconds{request="Produce"}'
        [count] = seen.samples(f"histogram_count({produce})")
        assert count == node.metric("pharos_request_duration_seconds_count", request="Produce") > 0
        [median] = seen.samples(f"histogram_quantile(0.5, {produce})")
        [most] = seen.samples(f"histogram_quantile(1, {produce})")
        # Bounds are 9 % apart, and the sum of all is not less than the largest.
        [total] = seen.samples(f"histogram_sum({produce})")
        assert 0 < median <= most <= total * 1.1
        assert seen.samples(f"histogram_fraction(0, {most * 1.1}, {produce})") == [1.0]
        # As long as it is not told otherwise, it keeps the native ones alone.
        assert seen.samples('pharos_request_duration_seconds_count{request="Produce"}') == []
        assert seen.samples('kafka_consumergroup_lag{consumergroup="g"}') == [81.0]


@needs_prometheus
@pytest.mark.parametrize("native", [False, True])
def test_exemplars_are_read_and_kept(make_node, tmp_path, native):
    # Nobody listens where the spans go: the histograms know their traces all the same.
    endpoint = "otel.exporter.otlp.endpoint=http://127.0.0.1:9"
    node = work(make_node(endpoint, f"metrics.native.histograms={str(native).lower()}"))
    families = open_metrics_families(node.get("/metrics/native", accept=OPEN_METRICS))
    shown = [sample for family in families for sample in family.samples if sample.exemplar]
    produce = {"pharos_request_duration_seconds_bucket", "pharos_request_phase_duration_seconds_bucket"}
    assert produce <= {sample.name for sample in shown if sample.labels.get("request") == "Produce"}
    for sample in shown:
        assert sample.name.endswith("_bucket")
        assert sample.exemplar.value <= float(sample.labels["le"])
        assert re.fullmatch("[0-9a-f]{32}", sample.exemplar.labels["trace_id"])
        assert re.fullmatch("[0-9a-f]{16}", sample.exemplar.labels["span_id"])
    for features in ((), ("native-histograms",)):
        wanted = PROTOBUF if features else OPEN_METRICS
        directory = tmp_path / str(len(features))
        with recording(node) as (target, formats), prometheus(target, directory, "exemplar-storage", *features) as seen:
            kept = [
                exemplar["labels"]["trace_id"]
                for series in seen.ask("/api/v1/query_exemplars", query='{request="Produce"}',
                                       start=time.time() - 3600, end=time.time() + 60)
                for exemplar in series["exemplars"]
            ]
            assert kept and all(re.fullmatch("[0-9a-f]{32}", trace) for trace in kept)
            assert formats == {wanted}
