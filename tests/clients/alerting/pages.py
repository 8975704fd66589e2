"""A broker on which everything has happened once that the pages tell of, and what its pages say."""
import re
import shutil
import ssl
import subprocess

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError
from prometheus_client.parser import text_string_to_metric_families
from tools import BINARY, CALL_LIMIT_SECONDS

PAGES = {"pharos": "/metrics/default", "pharos-native": "/metrics/native"}
RECORDS = 200


def fill(node):
    """Writes, reads and commits `orders`; is refused a record that is too large and one without a key; describes groups."""
    admin = KafkaAdminClient(bootstrap_servers=node.bootstrap)
    admin.create_topics([
        NewTopic("orders", 12, 1, topic_configs={"max.message.bytes": "20000"}),
        NewTopic("accounts", 1, 1, topic_configs={"cleanup.policy": "compact"}),
    ])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=node.bootstrap)
    for number in range(RECORDS):
        producer.send("orders", b"%d" % number, partition=number % 12)
    producer.flush()
    producer.close()
    for topic, value in [("orders", b"x" * 30000), ("accounts", b"without a key")]:
        refused = KafkaProducer(bootstrap_servers=node.bootstrap, max_request_size=1 << 20)
        with pytest.raises(KafkaError):
            refused.send(topic, value).get(timeout=30)
        refused.close()
    read(node, "orders", "billing", RECORDS)
    # As Apache Kafka's tools do: each is taken for one of the new protocol first.
    describe = [BINARY, "consumer-groups", "--describe", "--all-groups", "--bootstrap-server", node.bootstrap]
    subprocess.run(describe, check=True, capture_output=True, timeout=CALL_LIMIT_SECONDS)


def read(node, topic, group, count):
    consumer = KafkaConsumer(
        topic, bootstrap_servers=node.bootstrap, group_id=group, auto_offset_reset="earliest",
        consumer_timeout_ms=30000, enable_auto_commit=False,
    )
    came = sum(1 for _ in zip(range(count), consumer))
    assert came == count, f"{came} of {count} records of {topic} came"
    consumer.commit()
    consumer.close()


def asked_for(directory):
    """Settings by which a node shows what a plain one does not, and what its TLS is known by: it has a certificate, and
    traces for a collector that is not there."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True, timeout=60,
    )
    both = directory / "both.pem"
    both.write_text(certificate.read_text() + key.read_text())
    settings = (
        "admin.listeners=HTTPS://127.0.0.1:0",
        f"admin.ssl.keystore.location={both}",
        "otel.exporter.otlp.endpoint=http://127.0.0.1:1",
        "otel.bsp.schedule.delay=100",
    )
    return settings, ssl.create_default_context(cafile=certificate)


def samples(node):
    """(job, name, labels) of everything on the pages that prometheus.yml scrapes."""
    for job, page in PAGES.items():
        for family in text_string_to_metric_families(node.get(page)):
            for sample in family.samples:
                yield job, sample.name, sample.labels


def series(text):
    """Name and labels of a series as promtool's tests write it."""
    name, _, rest = text.partition("{")
    return name, dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', rest))
