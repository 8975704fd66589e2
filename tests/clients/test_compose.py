"""The compose file and the image, as far as they can be judged without an engine, and the demo load for real."""
import os
import re
import shutil
import subprocess

import boards
import pytest
import yaml
from prometheus import wait_for
from tools import ours

FILE = boards.ROOT / "docker-compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES = COMPOSE["services"]


def compose_command():
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and subprocess.run([*command, "version"], capture_output=True, timeout=60).returncode == 0:
            return command
    return None


def test_compose_reads_the_file():
    command = compose_command()
    if command is None:
        pytest.skip("docker-compose.yaml is not read by compose: none here")
    ran = subprocess.run([*command, "-f", str(FILE), "config", "--quiet"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_images_are_pinned_and_nothing_is_open_to_the_network():
    for name, service in SERVICES.items():
        assert service["image"] == "pharos:latest" or re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    stages = re.findall(r"(?m)^FROM (\S+)", (boards.ROOT / "Dockerfile").read_text())
    assert len(stages) == 2 and not any(stage.endswith(":latest") or ":" not in stage for stage in stages)
    assert stages[-1].endswith("nonroot")


def test_services_start_when_what_they_need_is_healthy():
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            # The broker's own check is in its image.
            assert "healthcheck" in SERVICES[needed] or SERVICES[needed]["image"] == "pharos:latest"
    assert "HEALTHCHECK" in (boards.ROOT / "Dockerfile").read_text()


def test_what_belongs_to_the_checkout_is_mounted_read_only():
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source, *rest = volume.split(":")
            if source.startswith("./"):
                assert rest[-1] == "ro", (name, volume)
                assert (boards.ROOT / source).exists(), (name, volume)
            else:
                assert source in COMPOSE["volumes"], (name, volume)


def test_provisioning_finds_the_boards():
    folder = boards.GRAFANA / "provisioning"
    [source] = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    scrape = yaml.safe_load((boards.ROOT / "prometheus" / "prometheus.yml").read_text())["global"]["scrape_interval"]
    # $__rate_interval is computed from it.
    assert source["jsonData"]["timeInterval"] == scrape
    [provider] = yaml.safe_load((folder / "dashboards" / "pharos.yml").read_text())["providers"]
    assert provider["allowUiUpdates"] is False
    mounted = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert mounted["./grafana/dashboards"] == provider["options"]["path"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == provider["options"]["path"] + "/home.json"


def test_prometheus_finds_the_other_services(tmp_path):
    [_, _, script] = SERVICES["prometheus"]["entrypoint"]
    # The part before Prometheus itself starts, on the checkout in place of the mount.
    rewrite = script.split("&&")[0]
    for there, here in (("> /prometheus/", f"> {tmp_path}/"), ("/etc/prometheus/", f"{boards.ROOT}/prometheus/")):
        assert there in rewrite
        rewrite = rewrite.replace(there, here)
    subprocess.run(["sh", "-c", rewrite], check=True, timeout=10)
    made = (tmp_path / "prometheus.yml").read_text()
    config = yaml.safe_load(made)
    targets = {target for job in config["scrape_configs"] for row in job["static_configs"] for target in row["targets"]}
    targets |= {target for row in config["alerting"]["alertmanagers"] for it in row["static_configs"] for target in it["targets"]}
    assert {target.split(":")[0] for target in targets} == {"broker", "alertmanager"}
    if shutil.which("promtool"):
        checked = subprocess.run(["promtool", "check", "config", str(tmp_path / "prometheus.yml")],
                                 capture_output=True, text=True, timeout=60)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_demo_is_three_groups_of_which_one_is_behind(node, tmp_path):
    tools = ours(tmp_path, ".sh")
    for tool in ("topics", "producer-perf-test", "consumer-perf-test", "console-consumer"):
        tools(tool)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    with open(tmp_path / "demo.txt", "wb") as output:
        demo = subprocess.Popen(["sh", str(boards.ROOT / "demo" / "load.sh")], stdout=output, stderr=output,
                                env={**os.environ, "PATH": path, "BOOTSTRAP": node.bootstrap}, start_new_session=True)
    try:
        for group in ("billing", "ledger", "archive"):
            wait_for(lambda group=group: node.metric("kafka_consumergroup_members", consumergroup=group), 1)
        wait_for(lambda: (node.metric("kafka_consumergroup_lag_seconds_max", consumergroup="archive") or 0) > 5, True)
        assert demo.poll() is None, (tmp_path / "demo.txt").read_text()
    finally:
        demo.terminate()
        demo.wait(timeout=60)
        # The slow reader ends when its pipe does.
        subprocess.run(["kill", "--", f"-{demo.pid}"], capture_output=True, timeout=10)
