"""The beans of a node beside those of Apache Kafka 4.3.1: fresh, and after a workload whose every record is known."""
import contextlib
import fcntl
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
    # The id of the cluster that the goldens were taken of.
    expected = parity.table("workload-expected.tsv")
    cluster_id = next(row[3] for row in expected if row[0] == "kafka.server:type=KafkaServer,name=ClusterId")
    node = make_node(*SETTINGS, environment={"CLUSTER_ID": cluster_id})
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
    hold(parity.figures_of(fresh=beans_of(node)))
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
    hold(parity.figures_of(after=beans))


def hold(figures):
    """Figures only rise; UPDATE=1 keeps what they are now."""
    if os.environ.get("UPDATE"):
        with open(parity.GOLDEN / "figures.tsv") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            parity.publish(figures)
    assert parity.fallen(figures) == {}


def wait_until(condition):
    deadline = time.monotonic() + SETTLE_LIMIT_SECONDS
    while time.monotonic() < deadline:
        # Where nobody answers it is not yet.
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.5)


def names_of_kafka():
    names = set((parity.GOLDEN / "names-fresh.txt").read_text().splitlines())
    return names | {row[0] for row in parity.table("workload-beans.tsv")}


def test_every_excuse_names_a_bean_of_kafka_and_a_class():
    names = names_of_kafka()
    classes = {"chance", "itself", "design", *parity.PARTS}
    for *patterns, kind, why in parity.table("absent.tsv"):
        assert why and kind in classes - {"design", "itself"}, patterns
        assert any(parity.of_class([[*patterns, kind, why]], name)[0] for name in names), patterns
    rows = parity.table("workload-expected.tsv")
    for *patterns, kind, why in parity.table("workload-differs.tsv"):
        assert why and kind in classes, patterns
        assert any(parity.of_class([[*patterns, kind, why]], row[0], row[1])[0] for row in rows), patterns


def test_every_bean_of_kafka_has_a_tier():
    assert [name for name in names_of_kafka() if parity.tier_of(name) is None] == []


def test_the_page_shows_the_figures_that_were_reached():
    shown = parity.PAGE.read_text().split(parity.BEGIN)[1].split(parity.END)[0]
    figures = parity.reached()
    assert shown == parity.tables(figures)
    for what in (parity.FRESH, parity.AFTER, parity.ATTRIBUTES):
        here, existing = figures[what, "tier 1"]
        assert here == existing, what
    for what in (parity.ATTRIBUTES, parity.VALUES):
        here, existing = map(sum, zip(*(figures[what, f"tier {tier}"] for tier in (1, 2, 3))))
        assert here >= 0.95 * existing, what
