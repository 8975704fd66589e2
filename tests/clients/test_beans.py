"""The beans of a node beside those of Apache Kafka 4.3.1: fresh, and after a workload whose every record is known."""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

import pytest
from beans import parity
from conftest import java_class_path

SOURCES = pathlib.Path(__file__).parent / "beans"
# Kafka was started with these when the goldens were taken.
SETTINGS = [
    "node.id=1",
    "num.network.threads=3",
    "auto.create.topics.enable=false",
    "log.cleaner.backoff.ms=500",
    "offsets.topic.num.partitions=3",
]
# The cleaner comes by when it likes, and Kafka's figures were taken a while after the last client had left.
SETTLE_LIMIT_SECONDS = 60


def beans_of(node):
    return parity.of_json(json.loads(node.get("/beans"))["beans"])


def start(make_node):
    node = make_node(*SETTINGS)
    # One connection that says nothing, as there was when the goldens were taken.
    host, port = node.bootstrap.rsplit(":", 1)
    socket.create_connection((host, int(port))).close()
    return node


def test_a_fresh_node_has_kafkas_beans(make_node):
    node = start(make_node)
    names = set((parity.GOLDEN / "names-fresh.txt").read_text().splitlines())
    wait_until(lambda: not parity.Comparison(beans_of(node), names).missing)
    compared = parity.Comparison(beans_of(node), names)
    assert compared.missing == []
    assert parity.fallen(parity.figures_of(fresh=beans_of(node))) == {}
    eager = ["kafka.server:type=DelayedProduceMetrics,name=ExpiresPerSec"]
    assert [name for name in compared.extra if name not in eager and "clientSoftware" not in name] == []


def test_the_workload_counts_as_in_kafka(make_node, tmp_path):
    libraries = java_class_path()
    if libraries is None:
        pytest.skip("no Java")
    subprocess.run(
        ["javac", "-nowarn", "-d", tmp_path, "-cp", libraries, SOURCES / "Workload.java"], check=True, timeout=300
    )
    node = start(make_node)
    workload = subprocess.run(
        ["java", "-Xmx400m", "-cp", f"{tmp_path}:{libraries}", "Workload", node.bootstrap],
        capture_output=True, text=True, timeout=600,
    )
    assert workload.returncode == 0, workload.stdout + workload.stderr
    wait_until(lambda: not parity.Values(beans_of(node)).different)
    beans = beans_of(node)
    compared = parity.Comparison(beans, {row[0] for row in parity.table("workload-beans.tsv")})
    values = parity.Values(beans)
    assert compared.missing == []
    alone = [re.compile(row[0]) for row in parity.table("extra.tsv")]
    extra = [name for name in compared.extra if not any(pattern.fullmatch(name) for pattern in alone)]
    assert [name for name in extra if "clientSoftware" not in name] == []
    assert parity.attributes_differ(beans) == {}
    assert values.types == []
    assert values.different == []
    assert parity.fallen(parity.figures_of(after=beans)) == {}


def wait_until(condition):
    deadline = time.monotonic() + SETTLE_LIMIT_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.5)


def test_every_excuse_names_a_bean_of_kafka():
    names = set((parity.GOLDEN / "names-fresh.txt").read_text().splitlines())
    names |= {row[0] for row in parity.table("workload-beans.tsv")}
    for pattern, why in parity.table("absent.tsv"):
        assert why and any(parity.reason([[pattern, why]], name) for name in names), pattern
    for name, attribute, why in parity.table("workload-differs.tsv"):
        rows = parity.table("workload-expected.tsv")
        assert why and any(parity.reason([[name, attribute, why]], row[0], row[1]) for row in rows), name
