"""Runs Prometheus and Alertmanager with the shipped rules, quickened, and receives what they send."""
import http.server
import json
import pathlib
import shutil
import subprocess
import threading
import time
import urllib.request

import yaml
from alerting import quicken
from prometheus import listening_port

FACTOR = 20
# How long a step may take on a busy machine; nothing is asserted about how long it takes.
LIMIT_SECONDS = 150
NEEDED = ["prometheus", "prometheus-alertmanager"]


def missing():
    return [name for name in NEEDED if shutil.which(name) is None]


def wait_until(what, condition):
    """The first true value of `condition`; where nobody answers it is not reached yet."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        try:
            if seen := condition():
                return seen
        except OSError as failure:
            seen = failure
        assert time.monotonic() < deadline, f"not within {LIMIT_SECONDS} s: {what() if callable(what) else what}: {seen!r}"
        time.sleep(0.1)


class Server:
    """Answers HTTP on a free port of this machine until it is closed; `answer(handler, body)` gives status, text and type."""

    def __init__(self, answer):
        def handle(handler):
            body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
            status, text, of_type = answer(handler, body)
            handler.send_response(status)
            handler.send_header("Content-Type", of_type)
            handler.send_header("Content-Length", str(len(text)))
            handler.end_headers()
            handler.wfile.write(text)

        handler = type("Handler", (http.server.BaseHTTPRequestHandler,), {
            "do_GET": handle, "do_POST": handle, "log_message": lambda *_: None,
        })
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Relay(Server):
    """Passes requests on to `target`, or answers 503 while it is `broken`."""

    def __init__(self, target):
        self.target = target
        self.broken = False

        def answer(handler, _):
            if self.broken:
                return 503, b"broken", "text/plain"
            request = urllib.request.Request(f"http://{self.target}{handler.path}", headers={"Accept": handler.headers["Accept"]})
            try:
                with urllib.request.urlopen(request, timeout=10) as page:
                    return page.status, page.read(), page.headers["Content-Type"]
            except OSError:
                return 502, b"no answer", "text/plain"

        super().__init__(answer)


class Rehearsal:
    """Prometheus, Alertmanager and a webhook that keeps every alert that it is told of."""

    def __init__(self, directory, targets):
        """`targets`: job -> address to scrape; `instance` and `cluster` are given."""
        self.directory = pathlib.Path(directory)
        self.received = []
        # How many of those were there when the newest was found that the test asked for: receiver and labels -> number.
        self.found = {}
        self.webhook = Server(self._receive)
        self.processes = []
        quicken.configuration(FACTOR, self.directory)
        self._adapt("alertmanager.yml", self._receivers)
        try:
            alertmanager = self._start(
                "prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=alerts",
                "--cluster.listen-address=",
            )
            self._adapt("prometheus.yml", lambda document: self._targets(document, targets, alertmanager))
            # What is sent before Alertmanager is known is lost until it is sent again. An alert that is not sent again
            # for four times as long counts as resolved: that is more than a busy machine stands still.
            self.prometheus = self._start(
                "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=series",
                f"--query.lookback-delta={300 // FACTOR}s", "--rules.alert.resend-delay=10s",
            )
        except BaseException:
            self.close()
            raise

    def _receive(self, handler, body):
        for alert in json.loads(body)["alerts"]:
            self.received.append((handler.path, alert))
        return 200, b"", "text/plain"

    # What the files tell an operator to adapt: where things are.

    def _adapt(self, name, change):
        file = self.directory / name
        document = yaml.safe_load(file.read_text())
        change(document)
        file.write_text(yaml.safe_dump(document))

    def _receivers(self, document):
        for receiver in document["receivers"]:
            for hook in receiver["webhook_configs"]:
                hook["url"] = f"http://{self.webhook.address}/{receiver['name']}"

    def _targets(self, document, targets, alertmanager):
        document["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager]
        for job in document["scrape_configs"]:
            static = job["static_configs"][0]
            static["targets"] = [targets[job["job_name"]]]
            static["labels"] = {"cluster": "rehearsal", "instance": "broker-1"}

    def _start(self, program, *arguments):
        """The address at which it listens."""
        path = self.directory / f"{program}.log"
        with open(path, "wb") as log:
            command = [program, *arguments, "--web.listen-address=127.0.0.1:0"]
            self.processes.append(subprocess.Popen(command, cwd=self.directory, stdout=log, stderr=log))
        return f"127.0.0.1:{wait_until(path.read_text, lambda: listening_port(path))}"

    def close(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=60)
        self.webhook.close()

    def heard(self):
        """Names of the alerts that a receiver was told of."""
        return {alert["labels"]["alertname"] for _, alert in self.received}

    # What has been heard, one by one.

    def _told(self):
        told = sorted({(alert["status"], json.dumps(alert["labels"])) for _, alert in self.received})
        return f"heard {told}; Prometheus has {self.alerts()}"

    def _ask(self, path):
        """What Prometheus answers; nothing while it starts."""
        try:
            with urllib.request.urlopen(f"http://{self.prometheus}/api/v1/{path}", timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            return {}

    def alerts(self):
        return [(it["state"], it["labels"]) for it in self._ask("alerts").get("alerts", [])]

    def evaluations(self):
        """How often the rules were evaluated while the watchdog fired, within the last minutes."""
        result = self._ask("query?query=count_over_time(ALERTS{alertstate=%22firing%22,alertname=%22Watchdog%22}[10m])")
        return max((int(it["value"][1]) for it in result.get("result", [])), default=0)

    def up(self):
        """The last scrape of each job: "1" when it succeeded."""
        return {it["metric"]["job"]: it["value"][1] for it in self._ask("query?query=up").get("result", [])}

    def known(self):
        """Jobs of which the rules know how they were 10 minutes ago: no counter that appears there is overlooked."""
        ago = quicken.shorter("10m", FACTOR)
        result = self._ask(f"query?query=instance_job:pharos_up:last%20offset%20{ago}%20==%201").get("result", [])
        return {it["metric"]["job"] for it in result}

    def _wait(self, status, labels, receiver):
        """The first of this status after the one that was found last: what ends while the test waits for others is
        not missed."""
        key = receiver, json.dumps(labels, sort_keys=True)

        def reached():
            for number in range(self.found.get(key, 0), len(self.received)):
                path, alert = self.received[number]
                if path == f"/{receiver}" and alert["labels"] == labels and alert["status"] == status:
                    self.found[key] = number + 1
                    return alert
            return None

        return wait_until(lambda: f"{status} {labels}; {self._told()}", reached)

    def fires(self, alertname, severity, receiver="operator", **labels):
        """The annotations of the alert with exactly these labels, once the receiver was told that it fires: since the
        beginning, or since it was last asked for."""
        return self._wait("firing", self._labels(alertname, severity, labels), receiver)["annotations"]

    def resolves(self, alertname, severity, **labels):
        """Waits until the operator is told that what fired ended."""
        self._wait("resolved", self._labels(alertname, severity, labels), "operator")

    @staticmethod
    def _labels(alertname, severity, labels):
        return {"alertname": alertname, "severity": severity, "cluster": "rehearsal", **labels}
