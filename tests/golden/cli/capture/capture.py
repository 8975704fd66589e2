#!/usr/bin/env python3
"""Plays transcripts (../*.txt) with Apache Kafka's own tools and broker, and writes down what came back.

usage: capture.py LIBS TRANSCRIPT...     LIBS: folder of Kafka's jars (tests/clients/kafka/kafka fetch)
The format is told in ../README.md.
"""
import base64
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SEGMENTS = HERE.parent.parent / "segments"
CLASSES = {
    "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "configs": "kafka.admin.ConfigCommand",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "features": "org.apache.kafka.tools.FeatureCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "groups": "org.apache.kafka.tools.GroupsCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "storage": "kafka.tools.StorageTool",
    "topics": "org.apache.kafka.tools.TopicCommand",
}
LOG = """rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.target = SYSTEM_ERR
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c)%n
logger.tools.name = org.apache.kafka.tools.consumer.LoggingMessageFormatter
logger.tools.level = INFO
"""
# What is not built here yet is left out there too.
FEATURES = ["eligible.leader.replicas.version", "transaction.version", "share.version", "streams.version"]
WAIT_SECONDS = 60


def java(libs, home, *words, heap="256m", **options):
    command = ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
               f"-Dlog4j2.configurationFile={home}/log4j2.properties", "-cp", f"{libs}/*", *words]
    return subprocess.Popen(command, **options)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Session:
    """One broker and one process of tools."""

    def __init__(self, libs, home, with_broker):
        self.libs, self.home = libs, home
        (home / "log4j2.properties").write_text(LOG)
        self.names = {"SEGMENTS": str(SEGMENTS), "DIR": str(home / "files")}
        (home / "files").mkdir()
        self.background, self.broker = [], None
        if with_broker:
            self.start_broker()
        self.start_driver()
        if with_broker:
            # As a format with Kafka's own features has it.
            defaults = "--alter --broker-defaults --add-config min.insync.replicas=1"
            self.run(f"configs --bootstrap-server BROKER {defaults}", "")

    def start_driver(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.driver = java(self.libs, self.home, str(HERE / "Driver.java"), **pipes)

    def start_broker(self):
        port, controller = free_ports(2)
        data, properties = self.home / "data", self.home / "server.properties"
        properties.write_text(f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
""")
        levels = [word for name in FEATURES for word in ("--feature", f"{name}=0")]
        format_ = ["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", str(properties)]
        assert java(self.libs, self.home, *format_, *levels, stdout=subprocess.DEVNULL).wait() == 0
        log = open(self.home / "broker.log", "wb")
        self.broker = java(self.libs, self.home, "kafka.Kafka", str(properties), heap="512m", stdout=log, stderr=log)
        until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        self.names |= {"BROKER": f"127.0.0.1:{port}", "CONTROLLER": f"127.0.0.1:{controller}", "DATA": str(data)}
        self.ports = {str(port): "PPPPP", str(controller): "CCCCC"}

    def words(self, line):
        words = shlex.split(line)
        for name, value in self.names.items():
            words = [re.sub(rf"\b{name}\b", value, word) for word in words]
        return words

    def run(self, line, stdin):
        tool, *arguments = self.words(line)
        words = [base64.b64encode(text.encode()).decode() for text in [stdin, *arguments]]
        self.driver.stdin.write(" ".join([CLASSES[tool], *words]) + "\n")
        self.driver.stdin.flush()
        answer = self.driver.stdout.readline()
        if not answer:
            # The tool ended the whole process: it gets one of its own.
            self.driver.wait()
            self.start_driver()
            return self.run_alone(CLASSES[tool], arguments, stdin)
        code, out, err = answer.rstrip("\n").split(" ")
        return int(code), *(self.cleaned(base64.b64decode(text).decode()) for text in (out, err))

    def run_alone(self, main_class, arguments, stdin):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = java(self.libs, self.home, main_class, *arguments, **pipes)
        out, err = process.communicate(stdin, timeout=WAIT_SECONDS)
        return process.returncode, self.cleaned(out), self.cleaned(err)

    def start(self, line):
        tool, *arguments = self.words(line)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.background.append(java(self.libs, self.home, CLASSES[tool], *arguments, **quiet))

    def stop(self):
        for process in self.background:
            process.send_signal(signal.SIGTERM)
        for process in self.background:
            process.wait()
        self.background = []

    def end(self):
        self.stop()
        self.driver.kill()
        if self.broker:
            self.broker.kill()
            self.broker.wait()

    def cleaned(self, text):
        """Lines without paths, ports, traces, usage and the log of the client."""
        for name, value in self.names.items():
            if "/" in value:
                text = text.replace(value, name)
        for port, name in getattr(self, "ports", {}).items():
            text = re.sub(rf"\b{port}\b", name, text)
        text = re.sub(r"\[\d{4}-[\d-]+ [\d:,]+\] (\w+) (.*?) \(([\w.$]+)\)\n", logged, text, flags=re.S)
        # The cause of a logged error stands on the line below it.
        text = re.sub(r"^(Error \S.*?): *\n([\w.$]+(?:Exception|Error)\b)", r"\1: \2", text, flags=re.M)
        lines, in_usage = [], False
        for line in text.removesuffix("\n").split("\n") if text else []:
            if re.match(r"Option( \(\* = required\))?  +Description|Option \(\*", line):
                break
            in_usage = line.startswith("usage: ") or in_usage and not re.match(r"kafka-[\w-]+:\s+error:", line)
            if not in_usage and "KIP-848" not in line and not re.match(r"\s+at |\s*\.\.\. \d+ more", line):
                lines.append(line)
        return lines


def logged(match):
    level, message, logger = match.groups()
    return f"{'WARN ' if level == 'WARN' else ''}{message}\n" if ".tools." in logger else ""


def until(met):
    began = time.monotonic()
    while not met():
        assert time.monotonic() - began < WAIT_SECONDS, "waited too long"
        time.sleep(0.2)


def steps(lines):
    """The steps of a transcript without what came back: lists of lines."""
    found = []
    for line in lines:
        if line[:2] in ("1 ", "2 ", "= ") or line in ("1", "2"):
            continue
        if line[:2] in ("~ ", "< ", "+ ") or line == "<":
            found[-1].append(line)
        else:
            found.append([line])
    return found


def play(session, step):
    head, *rest = step
    if head.startswith("file "):
        _, name, *content = head.split(" ")
        (session.home / "files" / name).write_text("".join(" ".join(session.words(word)) + "\n" if "{" not in word else word + "\n" for word in content))
    elif head.startswith("& "):
        session.start(head[2:])
    elif head == "stop":
        session.stop()
    if not head.startswith("$ ") or "~ later" in rest:
        return step
    stdin = "".join(line[2:] + "\n" for line in rest if line.startswith("<"))
    wanted = [line[8:] for line in rest if line.startswith("~ until ")]
    unwanted = [line[12:] for line in rest if line.startswith("~ until-not ")]
    seen = []

    def met():
        seen[:] = [session.run(head[2:], stdin)]
        text = "\n".join(seen[0][1])
        return all(word in text for word in wanted) and not any(word in text for word in unwanted)

    until(met)
    code, out, err = seen[0]
    print(code, head, flush=True)
    return [*step, f"= {code}", *(f"1 {line}".rstrip("\n") for line in out), *(f"2 {line}" for line in err)]


def capture(libs, path):
    lines = path.read_text().split("\n")[:-1]
    with tempfile.TemporaryDirectory() as home:
        session = Session(libs, pathlib.Path(home), any("BROKER" in line for line in lines))
        try:
            played = [line for step in steps(lines) for line in play(session, step)]
        finally:
            session.end()
    path.write_text("\n".join(played) + "\n")


if __name__ == "__main__":
    for name in sys.argv[2:]:
        capture(sys.argv[1], pathlib.Path(name))
