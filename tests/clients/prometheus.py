"""A real Prometheus with a configuration of its own, asked by its API."""
import json
import pathlib
import re
import subprocess
import time
import urllib.parse
import urllib.request

# Against hanging; nothing is asserted about how long a step takes.
LIMIT_SECONDS = 150


def wait_for(read, wanted):
    """Reads until it is what is wanted; where nobody answers it is not yet."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        try:
            seen = read()
        except OSError as failure:
            seen = failure
        if seen == wanted:
            return
        assert time.monotonic() < deadline, f"{seen!r} is not {wanted}"
        time.sleep(0.1)


def listening_port(log):
    """The free port that Prometheus or Alertmanager found when it was told port 0; None before it says so."""
    found = re.search(r'msg="?Listening on"? address=127.0.0.1:(\d+)', pathlib.Path(log).read_text())
    return found and int(found.group(1))


class Prometheus:
    def __init__(self, directory, config):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(exist_ok=True)
        (self.directory / "prometheus.yml").write_text(config)

    def __enter__(self):
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.directory}/prometheus.yml",
                 f"--storage.tsdb.path={self.directory}/data", "--web.listen-address=127.0.0.1:0", "--log.level=debug"],
                stdout=log, stderr=log,
            )
        try:
            self.port = None
            wait_for(self._listening, True)
            wait_for(self._ready, True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=60)

    def log(self):
        return (self.directory / "log").read_text()

    def _listening(self):
        self.port = listening_port(self.directory / "log")
        return self.port is not None

    def _ready(self):
        # It listens before it answers queries, and says 503 until then.
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False

    def samples(self, query):
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(url, timeout=10) as answer:
            return [float(it["value"][1]) for it in json.load(answer)["data"]["result"]]

    def wait_for(self, query, wanted):
        wait_for(lambda: self.samples(query), wanted)
