"""A real Prometheus and curl read an admin listener that speaks TLS and asks for certificates and a password."""
import base64
import hashlib
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest
from prometheus import Prometheus

PASSWORD = "a password: with = signs"


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True, timeout=60)


@pytest.fixture
def keys(tmp_path):
    """Signer, server and client, as docs/admin-security.md lets an operator make them."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(tmp_path, "req", "-x509", *curve, "-days", "30", "-subj", "/CN=signer", "-keyout", "ca.key", "-out", "ca.pem")
    for name, extension in (
        ("server", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ("prometheus", "extendedKeyUsage=clientAuth"),
    ):
        openssl(tmp_path, "req", *curve, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (tmp_path / "extension").write_text(extension)
        openssl(
            tmp_path, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "30", "-extfile", "extension", "-out", f"{name}.pem",
        )
    (tmp_path / "both.pem").write_text((tmp_path / "server.pem").read_text() + (tmp_path / "server.key").read_text())
    return tmp_path


@pytest.fixture
def secured(keys, make_node):
    digest = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), b"a salt", 10_000, 32).hex()
    (keys / "users").write_text(f"prometheus=PBKDF2WithHmacSHA256:10000:{digest}:a salt\n")
    (keys / "password").write_text(PASSWORD)
    return make_node(
        "admin.listeners=HTTPS://127.0.0.1:0",
        f"admin.ssl.keystore.location={keys}/both.pem",
        "admin.ssl.client.auth=required",
        f"admin.ssl.truststore.location={keys}/ca.pem",
        f"admin.authentication.users.file={keys}/users",
    )


def test_prometheus_scrapes_by_tls_with_a_certificate_and_a_password(keys, secured, tmp_path):
    if shutil.which("prometheus") is None:
        pytest.skip("no Prometheus")
    job = (
        "- job_name: {name}\n"
        "  scheme: https\n"
        "  metrics_path: {path}\n"
        "  tls_config: {{ca_file: {keys}/ca.pem, cert_file: {keys}/prometheus.pem, key_file: {keys}/prometheus.key}}\n"
        "  basic_auth: {{username: prometheus, password_file: {keys}/{password}}}\n"
        "  static_configs: [{{targets: ['{admin}']}}]\n"
    )
    (keys / "wrong").write_text("a password")
    jobs = [("pharos", "/metrics/default", "password"), ("pharos-native", "/metrics/native", "password"), ("wrong", "/metrics", "wrong")]
    # The interval is the limit of a scrape, too, and a busy machine takes its time for a page.
    config = "global: {scrape_interval: 3s}\nscrape_configs:\n" + "".join(
        job.format(name=name, path=path, password=password, keys=keys, admin=secured.admin) for name, path, password in jobs
    )
    with Prometheus(tmp_path / "prometheus", config) as prometheus:
        prometheus.wait_for('count_over_time(up{job=~"pharos.*"}[1m]) >= bool 3', [1.0, 1.0])
        assert prometheus.samples('min_over_time(up{job="pharos-native"}[1m])') == [1.0]
        prometheus.wait_for('up{job="wrong"}', [0.0])
        prometheus.wait_for('pharos_admin_refused_total{reason="wrong_credentials"} > bool 0', [1.0])
        assert prometheus.samples("pharos_certificate_expiry_timestamp_seconds - time() > bool 86400 * 29") == [1.0]
    assert PASSWORD not in secured.log()


def test_curl_reads_with_what_the_page_tells(keys, secured):
    if shutil.which("curl") is None:
        pytest.skip("no curl")

    def curl(*arguments):
        ran = subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", keys / "ca.pem", *arguments,
             f"https://{secured.admin}/metrics"],
            capture_output=True, text=True, timeout=60,
        )
        return ran.returncode, ran.stdout

    own = ["--cert", keys / "prometheus.pem", "--key", keys / "prometheus.key"]
    user = ["--user", f"prometheus:{PASSWORD}"]
    assert curl(*own, *user) == (0, "200")
    assert curl(*own, *user, "--tls-max", "1.2") == (0, "200")
    assert curl(*own) == (0, "401")
    assert curl(*own, "--user", "prometheus:wrong") == (0, "401")
    assert curl(*own, *user, "-H", "Host: evil.example") == (0, "421")
    assert curl(*own, *user, "-H", "Origin: http://evil.example") == (0, "403")
    code, status = curl(*user)
    assert (code != 0, status) == (True, "000")


def test_a_rule_file_protects_as_it_protected_the_exporter(keys, make_node):
    """Stores as jmx_exporter reads them: made by openssl and keytool."""
    if shutil.which("curl") is None or shutil.which("keytool") is None:
        pytest.skip("no curl or no Java")
    openssl(keys, "pkcs12", "-export", "-name", "localhost", "-passout", "pass:changeit", "-inkey", "server.key",
            "-in", "server.pem", "-out", "store.p12")
    subprocess.run(
        ["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", "ca.pem", "-keystore", "trust.p12",
         "-storetype", "PKCS12", "-storepass", "changeit"],
        cwd=keys, check=True, capture_output=True, timeout=60,
    )
    (keys / "rules.yml").write_text(
        "httpServer:\n"
        "  authentication:\n"
        "    basic:\n"
        "      username: Prometheus\n"
        "      algorithm: SHA-512\n"
        "      salt: salt\n"
        f"      passwordHash: {hashlib.sha512(b'salt:secret').hexdigest()}\n"
        "  ssl:\n"
        "    mutualTLS: true\n"
        f"    keyStore: {{filename: {keys}/store.p12, type: JKS, password: '${{STORE_PASSWORD}}'}}\n"
        f"    trustStore: {{filename: {keys}/trust.p12, password: changeit}}\n"
        "    certificate: {alias: localhost}\n"
        "rules: [{pattern: .*}]\n"
    )
    node = make_node(
        "admin.listeners=HTTPS://127.0.0.1:0", f"metrics.rules={keys}/rules.yml",
        environment={"STORE_PASSWORD": "changeit"},
    )

    def curl(*arguments):
        ran = subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", keys / "ca.pem", *arguments,
             f"https://{node.admin}/metrics"],
            capture_output=True, text=True, timeout=60,
        )
        return ran.stdout

    own = ["--cert", keys / "prometheus.pem", "--key", keys / "prometheus.key"]
    assert curl(*own, "--user", "Prometheus:secret") == "200"
    assert curl(*own, "--user", "Prometheus:Secret") == "401"
    assert curl("--user", "Prometheus:secret") == "000"
    assert "changeit" not in node.log()


def test_python_reads_with_its_own_tls(keys, secured):
    context = ssl.create_default_context(cafile=keys / "ca.pem")
    context.load_cert_chain(keys / "prometheus.pem", keys / "prometheus.key")
    request = urllib.request.Request(f"https://{secured.admin}/beans?name=kafka.server:")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, context=context, timeout=10)
    credentials = base64.b64encode(f"prometheus:{PASSWORD}".encode()).decode()
    request.add_header("Authorization", f"Basic {credentials}")
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:
        assert b"kafka.server:type=app-info" in answer.read()
