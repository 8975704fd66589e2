"""Every query of every board, asked of a real Prometheus that scrapes a broker under load.

Load runs all the time: three topics, three groups, one of them slow. What only happens now and then (errors,
rebalances, records that expire unread ...) is a phase of its own; a panel names the phase that fills it in its source."""
import contextlib
import itertools
import json
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import boards
import pytest
import yaml
from alerting import pages
from confluent_kafka import Consumer
from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from prometheus import listening_port
from tools import Tools, ours

# Against hanging; nothing is asserted about how long a step takes.
LIMIT_SECONDS = 150
CLIENT_LIMIT_SECONDS = 60
CLUSTER = "rehearsal"
SCRAPE_SECONDS = 1
# What Grafana makes of it for a chart with one point a second: max(interval + scrape, 4 scrapes).
RATE_INTERVAL = f"{max(1 + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)}s"
VALUES = {"job": ".+", "cluster": CLUSTER, "instance": ".+", "topic": ".+", "group": ".+", "request": "Produce",
          "__rate_interval": RATE_INTERVAL, "__range": "60s", "__interval": "1s"}
WINDOW_SECONDS = 15
TOPICS = {"orders": 6, "payments": 3, "audit": 2}
LARGEST_RECORD = 4096


class Prometheus:
    def __init__(self, directory, admins):
        self.directory = directory
        rules = {"groups": [{"name": "rehearsal", "interval": "1s", "rules": [
            {"alert": "Rehearsal", "expr": "pharos_build_info", "labels": {"severity": "warning"}}]}]}
        (directory / "rules.yml").write_text(yaml.safe_dump(rules))
        targets = [{"targets": [admin], "labels": {"cluster": CLUSTER, "__scheme__": scheme}} for scheme, admin in admins]
        jobs = [{"job_name": f"pharos-{page}", "metrics_path": f"/metrics/{page}", "static_configs": targets,
                 "tls_config": {"insecure_skip_verify": True}}
                for page in ("default", "native")]
        interval = f"{SCRAPE_SECONDS}s"
        config = {"global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
                  "rule_files": ["rules.yml"], "scrape_configs": jobs}
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))

    def __enter__(self):
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.directory}/prometheus.yml", "--web.listen-address=127.0.0.1:0",
                 f"--storage.tsdb.path={self.directory}/data", "--log.level=debug"],
                stdout=log, stderr=log,
            )
        wait_for(lambda: self.listening(), "Prometheus answers")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=CLIENT_LIMIT_SECONDS)

    def listening(self):
        port = listening_port(self.directory / "log")
        if port is None:
            assert self.process.poll() is None, (self.directory / "log").read_text()[-2000:]
            return False
        self.url = f"http://127.0.0.1:{port}"
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False

    def get(self, path, **parameters):
        url = f"{self.url}/api/v1/{path}?" + urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(url, timeout=CLIENT_LIMIT_SECONDS) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{parameters}: {refused.read().decode()}") from None

    def ask(self, expression, instant):
        """[(labels, [values])] as a panel gets them."""
        now = time.time()
        if instant:
            rows = self.get("query", query=expression, time=now)["result"]
            return [(row["metric"], [float(row["value"][1])]) for row in rows]
        rows = self.get("query_range", query=expression, start=now - WINDOW_SECONDS, end=now, step=1)["result"]
        return [(row["metric"], [float(value) for _, value in row["values"]]) for row in rows]


def wait_for(seen, what):
    deadline = time.monotonic() + LIMIT_SECONDS
    while not seen():
        assert time.monotonic() < deadline, f"not within {LIMIT_SECONDS} s: {what}"
        time.sleep(0.1)


class Load:
    """What runs all the time, and the phases on top of it."""

    def __init__(self, node, fragile, directory):
        self.node = node
        # Its second log directory may be broken, it speaks TLS, and the collector of its spans is not there.
        self.fragile = fragile
        self.tools = Tools(node.bootstrap, ours(directory, ".sh"))
        self.directory = directory
        self.processes = []
        self.outputs = []
        self.failures = []
        # What ends with the load.
        self.running = contextlib.ExitStack()

    def __enter__(self):
        for topic, partitions in TOPICS.items():
            settings = ["--config", f"max.message.bytes={LARGEST_RECORD}", "--config", "flush.messages=20"]
            self.tools.call("topics", "--create", "--topic", topic, "--partitions", str(partitions), *settings)
        for topic, size in zip(TOPICS, (200, 1000, 100)):
            self.run("producer-perf-test", "--topic", topic, "--record-size", str(size), "--throughput", "300",
                     "--num-records", "1000000", "--command-property", "batch.size=2000")
        for topic, group in (("orders", "billing"), ("payments", "ledger")):
            self.run("consumer-perf-test", "--topic", topic, "--group", group, "--num-records", "100000000",
                     "--timeout", "600000", "--command-property", "auto.commit.interval.ms=500")
        self.running.enter_context(self.repeated(self.slow()))
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        self.running.close()

    def run(self, tool, *arguments):
        with open(self.directory / f"{tool}-{len(self.processes)}", "wb") as output:
            command = self.tools.command(tool, *arguments)
            self.processes.append(subprocess.Popen(command, stdout=output, stderr=output))
            self.outputs.append(output.name)

    def troubles(self):
        """What ended that should not."""
        ended = [name for process, name in zip(self.processes, self.outputs) if process.poll() is not None]
        return self.failures + [f"{name}: {pathlib.Path(name).read_text()[-500:]}" for name in ended]

    @contextlib.contextmanager
    def repeated(self, steps):
        """Goes through a generator, five steps a second."""
        ended = threading.Event()

        def go():
            try:
                with contextlib.closing(steps):
                    while not ended.wait(0.2):
                        next(steps)
            except Exception as failure:  # noqa: BLE001 - the test reports it
                self.failures.append(f"{steps.__name__}: {failure!r}")

        thread = threading.Thread(target=go, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=LIMIT_SECONDS)
            if thread.is_alive():
                self.failures.append(f"{steps.__name__} does not end")

    def slow(self):
        """A group that reads 25 records a second of 300."""
        return self.read("audit", "slow", 5)

    def drain(self):
        """A group that comes late and reads faster than is written."""
        return self.read("orders", "late", 200)

    def consumer(self, group):
        return Consumer({"bootstrap.servers": self.node.bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False})

    def read(self, topic, group, records):
        """A member that reads so many records a step at most, and commits them."""
        consumer = self.consumer(group)
        consumer.subscribe([topic])
        try:
            while True:
                if consumer.consume(records, timeout=0.1):
                    consumer.commit(asynchronous=False)
                yield
        finally:
            consumer.close()

    def errors(self):
        """Records that are too large, and records without a key where each needs one."""
        compacted = ["--config", "cleanup.policy=compact"]
        self.tools.call("topics", "--create", "--topic", "accounts", "--partitions", "1", *compacted)
        producer = KafkaProducer(bootstrap_servers=self.node.bootstrap, retries=0)
        try:
            while True:
                producer.send("orders", b"x" * (2 * LARGEST_RECORD))
                producer.send("accounts", b"no key")
                producer.flush(timeout=CLIENT_LIMIT_SECONDS)
                yield
        finally:
            producer.close()

    def rebalance(self):
        """Members that come, are given partitions, and go."""
        while True:
            consumer = self.consumer("ledger")
            consumer.subscribe(["payments"])
            try:
                while not consumer.assignment():
                    consumer.poll(0.1)
                    yield
            finally:
                consumer.close()

    def expiry(self):
        """Records that go before the slow group has read them."""
        kept = self.directory / "delete.json"
        while True:
            rows = [row.split(":") for row in self.tools.call("get-offsets", "--topic", "audit").split()]
            partitions = [{"topic": topic, "partition": int(partition), "offset": int(end)} for topic, partition, end in rows]
            kept.write_text(json.dumps({"partitions": partitions, "version": 1}))
            self.tools.call("delete-records", "--offset-json-file", str(kept))
            yield

    def faults(self):
        """A log directory that goes away under a broker; the next segment cannot be made there."""
        tools = Tools(self.fragile.bootstrap, self.tools.prefix)
        tools.call("topics", "--create", "--topic", "brittle", "--partitions", "2", "--config", "segment.ms=100")
        producer = KafkaProducer(bootstrap_servers=self.fragile.bootstrap, retries=0)
        try:
            for partition in (0, 1):
                producer.send("brittle", b"whole", partition=partition).get(timeout=CLIENT_LIMIT_SECONDS)
            for folder in (self.fragile.directory / "second").glob("brittle-*"):
                shutil.rmtree(folder)
            while True:
                for partition in (0, 1):
                    with contextlib.suppress(KafkaError):
                        producer.send("brittle", b"lost", partition=partition)
                yield
        finally:
            # What the lost directory does not take is not waited for.
            with contextlib.suppress(KafkaTimeoutError):
                producer.close(timeout=0)

    def quota(self):
        """A client that sends more than it may."""
        self.tools.call("configs", "--alter", "--client", "greedy", "--add-config", "producer_byte_rate=1000")
        producer = KafkaProducer(bootstrap_servers=self.node.bootstrap, client_id="greedy", max_block_ms=600000)
        try:
            while True:
                producer.send("orders", b"x" * 1000)
                yield
        finally:
            # What it could not send yet goes when it may.
            self.tools.call("configs", "--alter", "--client", "greedy", "--delete-config", "producer_byte_rate")
            producer.close(timeout=CLIENT_LIMIT_SECONDS)

    def telemetry(self):
        """A client that pushes its metrics, since the cluster asks for them."""
        self.tools.call("client-metrics", "--alter", "--name", "all", "--metrics", "*", "--interval", "1000")
        consumer = self.consumer("telling")
        consumer.subscribe(["orders"])
        try:
            while True:
                consumer.poll(0.1)
                yield
        finally:
            consumer.close()

    def stall(self):
        """A node that stands still for longer than a request may take, again and again."""
        while True:
            os.kill(self.node.process.pid, signal.SIGSTOP)
            try:
                time.sleep(0.15)
            finally:
                os.kill(self.node.process.pid, signal.SIGCONT)
            yield

    def keys(self):
        """A key that half of the records have, where keys are watched."""
        producer = KafkaProducer(bootstrap_servers=self.node.bootstrap)
        try:
            for number in itertools.count():
                for at in range(20):
                    producer.send("payments", b"x", key=b"hot" if at % 2 else f"{number}-{at}".encode(), partition=0)
                yield
        finally:
            producer.close(timeout=CLIENT_LIMIT_SECONDS)

    def alert(self):
        """The rule of this test fires from the beginning."""
        while True:
            yield


class Question:
    """One query of one panel, and whether it was ever answered as a panel needs it."""

    def __init__(self, board, panel, target, source, query, quiet):
        self.name = f"{board}: {panel['title']} {target['refId']}"
        self.phase = source.get("phase", "load")
        self.kind = source["kind"]
        self.expression = boards.substitute(target["expr"], VALUES)
        self.instant = target["instant"]
        # A rate that stays 0 shows nothing, but where zero is the good news.
        self.must_move = re.search(r"\b(rate|increase|deriv)\(", target["expr"]) and self.name not in quiet
        self.labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        if self.kind == "table":
            self.labels = set(source["columns"]) - set(source.get("optional", [])) if "column" not in query else set()
        self.seen = "was never asked"

    def answered(self, prometheus):
        rows = prometheus.ask(self.expression, self.instant)
        values = [value for _, found in rows for value in found if not math.isnan(value)]
        self.seen = f"{len(rows)} series, values {sorted(set(values))[-3:]}"
        lacking = [labels for labels, _ in rows if not self.labels <= labels.keys()]
        assert lacking == [], f"{self.name}: the legend names {self.labels}, the result has {lacking[0]}"
        return bool(values) and (not self.must_move or any(values))


def questions():
    _, sources = boards.sources()
    quiet = {row["panel"] for row in boards.exceptions()["quiet"]}
    asked = []
    for name, board in boards.boards().items():
        for panel, source in zip(board["panels"], boards.source_panels(sources[name]), strict=True):
            source.setdefault("kind", "timeseries")
            for target, query in zip(panel["targets"], source["queries"], strict=True):
                asked.append(Question(name, panel, target, source, query, quiet))
    return asked


def ask_until_answered(waiting, prometheus, load):
    deadline = time.monotonic() + LIMIT_SECONDS
    while waiting:
        waiting = [question for question in waiting if not question.answered(prometheus)]
        assert load.troubles() == []
        if time.monotonic() > deadline:
            return waiting
    return []


def test_every_panel_has_data(make_node, tmp_path):
    if shutil.which("prometheus") is None:
        pytest.skip("no Prometheus")
    node = make_node("offsets.topic.num.partitions=3", "auto.create.topics.enable=false", "metrics.hot.keys=payments")
    settings, _ = pages.asked_for(tmp_path)
    fragile = make_node("offsets.topic.num.partitions=1", "log.dirs=first,second", *settings)
    asked = questions()
    phases = {question.phase for question in asked}
    admins = [("http", node.admin), ("https", fragile.admin)]
    with Prometheus(tmp_path, admins) as prometheus, Load(node, fragile, tmp_path) as load:
        silent, took = [], {}
        for phase in ("load", *sorted(phases - {"load"})):
            began = time.monotonic()
            of_phase = [it for it in asked if it.phase == phase]
            # What a phase does to the node does not outlast it.
            with load.repeated(getattr(load, phase)()) if phase != "load" else contextlib.nullcontext():
                silent += ask_until_answered(of_phase, prometheus, load)
            assert load.troubles() == []
            took[phase] = f"{time.monotonic() - began:.0f} s"
        answered = len(asked) - len(silent)
        print(f"{answered} of {len(asked)} queries answered; by phase: {took}")
        assert not silent, "\n".join(f"{it.name}, in phase {it.phase}: {it.seen}\n  {it.expression}" for it in silent)

        for name, board in boards.boards().items():
            for variable in board["templating"]["list"][1:]:
                selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
                values = prometheus.get(f"label/{label}/values", **{"match[]": boards.substitute(selector, VALUES)})
                assert values, (name, variable["name"])
            for row in board["annotations"]["list"][1:]:
                # Whether there is something to draw depends on what happened.
                prometheus.ask(boards.substitute(row["expr"], VALUES), instant=False)
