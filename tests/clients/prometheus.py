"""A real Prometheus with a configuration of its own, asked by its API."""
import json
import pathlib
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

LIMIT_SECONDS = 60


def wait_for(read, wanted):
    deadline = time.monotonic() + LIMIT_SECONDS
    while (seen := read()) != wanted:
        assert time.monotonic() < deadline, f"{seen} is not {wanted}"
        time.sleep(0.1)


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
        self.process.wait(timeout=30)

    def log(self):
        return (self.directory / "log").read_text()

    def _listening(self):
        found = re.search(r"msg=\"?Listening on\"? address=127.0.0.1:(\d+)", self.log())
        self.port = found and found.group(1)
        return self.port is not None

    def _ready(self):
        # It listens before it answers queries, and says 503 until then.
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=10) as answer:
                return answer.status == 200
        except urllib.error.URLError:
            return False

    def samples(self, query):
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(url, timeout=10) as answer:
            return [float(it["value"][1]) for it in json.load(answer)["data"]["result"]]

    def wait_for(self, query, wanted):
        wait_for(lambda: self.samples(query), wanted)
