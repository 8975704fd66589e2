"""Kafka's command-line tools, ours and Apache Kafka's own, called alike."""
import os
import pathlib
import shutil
import subprocess

BINARY = os.environ["PHAROS_BIN"]
KAFKA = pathlib.Path(__file__).parent / "kafka" / "kafka"
HAS_JAVA = shutil.which("java") is not None and shutil.which("mvn") is not None
CALL_LIMIT_SECONDS = 90
CLASSES = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
}


class Tools:
    """`call("topics", "--list", ...)` runs kafka-topics against the node and returns what it printed."""

    def __init__(self, bootstrap, prefix):
        self.bootstrap = bootstrap
        self.prefix = prefix

    def command(self, tool, *arguments):
        return [*self.prefix(tool), *arguments, "--bootstrap-server", self.bootstrap]

    def call(self, tool, *arguments, stdin=None):
        ran = subprocess.run(
            self.command(tool, *arguments), input=stdin, capture_output=True, text=True, timeout=CALL_LIMIT_SECONDS
        )
        assert ran.returncode == 0, f"{tool} {arguments}: exit {ran.returncode}\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    def start(self, tool, *arguments):
        return subprocess.Popen(
            self.command(tool, *arguments), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )


def ours(directory, suffix):
    """Links with Kafka's names: the program is told what to be by the name that it was called by."""
    links = pathlib.Path(directory) / "bin"
    links.mkdir(exist_ok=True)

    def prefix(tool):
        link = links / f"kafka-{tool}{suffix}"
        if not link.exists():
            link.symlink_to(BINARY)
        return [str(link)]

    return prefix


def java(tool):
    return [str(KAFKA), "class", CLASSES[tool]]
