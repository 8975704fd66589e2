"""Starts the real binary on free ports with a directory of its own, and stops it after the test."""
import contextlib
import fcntl
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.request

import pytest

BINARY = os.environ["PHAROS_BIN"]
# Against hanging; nothing is asserted about how long these take.
START_LIMIT_SECONDS = 120
STOP_LIMIT_SECONDS = 120
ANSWER_LIMIT_SECONDS = 60


def pytest_configure(config):
    # A thread that dies takes what it does for the test with it.
    config.addinivalue_line("filterwarnings", "error::pytest.PytestUnhandledThreadExceptionWarning")


class Node:
    """One running `pharos up`; `bootstrap` is HOST:PORT of its Kafka listener, `admin` of its HTTP listener.

    A `bare` node is told nothing of listeners: its environment does. `trust` is what it is known by when `admin` speaks
    TLS."""

    trust = None

    def __init__(self, directory, overrides=(), environment=None, bare=False):
        self.directory = pathlib.Path(directory)
        listeners = "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0"
        self.overrides = [
            *([] if bare else [listeners]),
            "admin.listeners=HTTP://127.0.0.1:0",
            f"log.dirs={self.directory}/data",
            *overrides,
        ]
        self.environment = environment or {}
        self.process = None

    def start(self):
        ready = self.directory / "ready.json"
        ready.unlink(missing_ok=True)
        arguments = [BINARY, "up", "--ready-file", str(ready)]
        for override in self.overrides:
            arguments += ["--override", override]
        with open(self.directory / "output.txt", "ab") as output:
            self.process = subprocess.Popen(
                arguments, stdout=output, stderr=output, cwd=self.directory, env={**os.environ, **self.environment}
            )
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the broker did not start:\n{self.log()}")
            time.sleep(0.01)
        ports = json.loads(ready.read_text())
        self.bootstrap = ports["listeners"]["PLAINTEXT"]
        self.admin = ports["admin"]
        return self

    def log(self):
        return (self.directory / "output.txt").read_text(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                return self.process.wait(timeout=STOP_LIMIT_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"the broker did not stop:\n{self.log()}") from None
        return self.process.returncode if self.process else None

    def get(self, path, accept=None):
        scheme = "https" if self.trust else "http"
        request = urllib.request.Request(f"{scheme}://{self.admin}{path}", headers={"Accept": accept} if accept else {})
        with urllib.request.urlopen(request, timeout=ANSWER_LIMIT_SECONDS, context=self.trust) as answer:
            return answer.read().decode()

    def metric(self, name, **labels):
        """Sum of the samples of `name` whose labels include `labels`; None when there is none."""
        from prometheus_client.parser import text_string_to_metric_families

        values = [
            sample.value
            for family in text_string_to_metric_families(self.get("/metrics"))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(values) if values else None


def java_class_path():
    """Apache Kafka's jars for `java -cp`, fetched once by Maven; None without Java or Maven."""
    if shutil.which("javac") is None or shutil.which("mvn") is None:
        return None
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "pharos"
    home = pathlib.Path(os.environ.get("PHAROS_KAFKA_HOME", cache / "kafka-4.3.1"))
    home.mkdir(parents=True, exist_ok=True)
    with open(home / ".lock", "w") as lock:
        # Workers of one run must not fetch side by side.
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([pathlib.Path(__file__).parent / "kafka" / "kafka", "fetch"], check=True, timeout=900)
    return f"{home}/libs/*"


@pytest.fixture
def make_node():
    directory = tempfile.mkdtemp(prefix="pharos-test-")
    # Every node is stopped, also when another one does not.
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        numbers = itertools.count()

        def make(*overrides, environment=None, bare=False):
            path = pathlib.Path(directory) / str(next(numbers))
            path.mkdir()
            node = Node(path, overrides, environment, bare)
            stack.callback(node.stop)
            return node.start()

        yield make


@pytest.fixture
def node(make_node):
    return make_node()
