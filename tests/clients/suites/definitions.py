"""Other people's test suites, fetched from their registries: how each is installed, run and judged.

A suite has `needs` (programs without which it is skipped), `install(home)`, and either `command(home, test, bootstrap)`
for a process per test, with `judge(test, code, output)`, or `batch(home, tests, bootstrap)` for one process for all."""
import json
import os
import pathlib
import re
import subprocess
import threading
import time

HERE = pathlib.Path(__file__).parent


def shell(command, cwd, **environment):
    """An installation step: quiet unless it fails."""
    ran = subprocess.run(
        command, shell=True, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, errors="replace"
    )
    if ran.returncode:
        raise RuntimeError(f"{command}: exit {ran.returncode}\n{(ran.stdout + ran.stderr)[-4000:]}")


def judge_go(test, code, output):
    """None when a Go test passed, else why not."""
    verdicts = re.findall(rf"^\s*--- (PASS|FAIL|SKIP): {re.escape(test)} ", output, re.M)
    if code == 0 and verdicts[-1:] == ["PASS"]:
        return None
    why = re.findall(r"^\s+\w+_test\.go:\d+: (.*)", output, re.M) or re.findall(r"^panic: (.*)", output, re.M)
    return (why or [f"exit {code}"])[-1]


class Java:
    """Apache Kafka's own clients 4.3.1, in one process."""

    needs = ["javac", "mvn"]
    version = "4.3.1"

    def install(self, home):
        from conftest import java_class_path

        shell(f"javac -nowarn -cp '{java_class_path()}' -d {home} {HERE / 'Checks.java'}", home)

    def batch(self, home, tests, bootstrap):
        from conftest import java_class_path

        command = ["java", "-Xmx512m", "-cp", f"{home}:{java_class_path()}", "Checks", bootstrap, *tests]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=600)
        results = {test: "no result" for test in tests}
        for line in ran.stdout.splitlines():
            if line.startswith(("PASS\t", "FAIL\t")):
                verdict, test, why = line.split("\t", 2)
                results[test] = None if verdict == "PASS" else why
        return results


class KafkaPython:
    """kafka-python's integration tests, from its source distribution."""

    needs = []
    version = "3.0.12"

    # What the tests import of the files that the distribution lacks.
    SERVICE = """
class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def open(self):
        pass

    close = stop = dump_logs = open

    def is_alive(self):
        return True


class SpawnedService:
    def __init__(self, *arguments, **options):
        raise NotImplementedError("the broker runs already")
"""

    def install(self, home):
        shell("python3 -m venv venv", home)
        extras = "pytest pytest-mock pytest-timeout lz4 zstandard python-snappy crc32c"
        shell(f"venv/bin/pip -q install kafka-python=={self.version} {extras}", home)
        shell(f"venv/bin/pip download -q --no-binary :all: --no-deps kafka-python=={self.version}", home)
        shell("mkdir -p src && tar xzf kafka_python-*.tar.gz -C src --strip 1", home)
        (home / "src/test/__init__.py").touch()
        (home / "src/test/service.py").write_text(self.SERVICE)

    def command(self, home, test, bootstrap):
        pytest = ["-m", "pytest", "-x", "-q", "-rA", "-p", "no:cacheprovider", f"test/integration/{test}"]
        environment = {"KAFKA_URI": f"kafka://{bootstrap}", "KAFKA_VERSION": "4.2.0", "KAFKA_ROOT": str(home / "src")}
        return [home / "venv/bin/python", *pytest], environment, home / "src"

    def judge(self, test, code, output):
        if code == 0 and re.search(r"\b\d+ passed", output):
            return None
        return (re.findall(r"^E\s+(.*)", output, re.M) or [f"exit {code}"])[-1]


class Go:
    """A Go module whose test binary is made from the module proxy's copy; `repair` adapts the copy to a broker that
    runs already."""

    needs = ["go"]

    def __init__(self, module, version, package, repair=None):
        self.module, self.version, self.package, self.repair = module, version, package, repair

    def install(self, home):
        shell(f"go mod download {self.module}@{self.version}", home, GOFLAGS="-mod=mod")
        shell(f"rm -rf src && cp -r $(go env GOMODCACHE)/{self.module}@{self.version} src && chmod -R u+w src", home)
        if self.repair:
            self.repair(home / "src")
        shell(f"go test -c -o ../tests {self.package}", home / "src", GOFLAGS="-mod=mod")

    def command(self, home, test, bootstrap):
        pattern = "/".join(f"^{part}$" for part in test.split("/"))
        arguments = ["-test.v", "-test.run", pattern, "-test.timeout", "170s"]
        environment = {
            "PHAROS_BOOTSTRAP": bootstrap,
            "KAFKA_VERSION": "4.0.0",
            "KAFKA_SKIP_NETTEST": "1",
            "KGO_SEEDS": bootstrap,
            "KGO_TEST_RF": "1",
            "KGO_TEST_RECORDS": "20000",
        }
        return [home / "tests", *arguments], environment, home / "src" / self.package

    judge = staticmethod(judge_go)


def repair_kafka_go(source):
    """Its tests insist on localhost:9092; here they ask the environment."""
    for path in source.glob("*.go"):
        text = path.read_text()
        if path.name == "client_test.go":
            text = text.replace('TCP("localhost")', "TCP(pharosBootstrap)")
        if path.name.endswith("_test.go") and path.name != "address_test.go":
            text = re.sub(r'\bconst (\w+ *= *"localhost:9092")', r"var \1", text)
            text = re.sub(r"const (\(\n\t+tcp +=)", r"var \1", text)
            text = text.replace('"localhost:9092"', "pharosBootstrap")
        path.write_text(text)
    for path in source.glob("example_*_test.go"):
        path.unlink()
    ask = 'package kafka\n\nimport "os"\n\nvar pharosBootstrap = os.Getenv("PHAROS_BOOTSTRAP")\n'
    (source / "pharos_test.go").write_text(ask)


class ConfluentGo(Go):
    """confluent-kafka-go's integration tests; `NAME@consumer` is a test with the group protocol of KIP-848."""

    def __init__(self):
        module = "github.com/confluentinc/confluent-kafka-go/v2"
        super().__init__(module, "v2.11.1", "./kafka", self.without_containers)

    @staticmethod
    def without_containers(source):
        path = source / "kafka/integration_test.go"
        text = path.read_text()
        text = text.replace('"github.com/testcontainers/testcontainers-go/modules/compose"', "")
        text = text.replace("*compose.LocalDockerCompose", "*noCompose")
        path.write_text(text.replace("compose.NewLocalDockerCompose(", "startNothing("))
        (source / "kafka/pharos_test.go").write_text(
            "package kafka\n\ntype noCompose struct{}\n\nfunc (*noCompose) Down() {}\n"
            "func (c *noCompose) WithCommand([]string) *noCompose { return c }\n"
            "func (*noCompose) Invoke() struct{ Error error } { return struct{ Error error }{} }\n"
            "func startNothing([]string, string) *noCompose { return &noCompose{} }\n"
        )

    def command(self, home, test, bootstrap):
        name, _, protocol = test.partition("@")
        own = f"{name}-{time.time_ns()}"
        folder = home / "runs" / own
        folder.mkdir(parents=True)
        settings = {"Brokers": bootstrap, "BrokersSasl": bootstrap, "TopicName": own, "GroupID": own}
        settings |= {"PerfMsgCount": 1000, "PerfMsgSize": 100, "Config": ["api.version.request=true"]}
        (folder / "testconf.json").write_text(json.dumps(settings))
        arguments = ["-test.v", "-test.run", "^TestIntegration$", "-testify.m", f"^{name}$", "-test.timeout", "115s"]
        return [home / "tests", *arguments], {"TEST_CONSUMER_GROUP_PROTOCOL": protocol or "classic"}, folder

    def judge(self, test, code, output):
        return judge_go("TestIntegration/" + test.partition("@")[0], code, output)


class Librdkafka:
    """librdkafka's own tests; its sources travel in the package @confluentinc/kafka-javascript. `NAME/FUNCTION` is one
    sub-test, `NAME@consumer` a test with the group protocol of KIP-848."""

    needs = ["npm", "make", "g++"]
    version = "1.10.1"
    folder = "deps/librdkafka"
    # Takes minutes without its quick mode.
    QUICK = ["0038"]

    def install(self, home):
        package = f"@confluentinc/kafka-javascript@{self.version}"
        shell(f"npm pack {package} && tar xzf *.tgz --strip 1 package/deps && rm *.tgz", home)
        self.build(home / self.folder)

    @staticmethod
    def build(source):
        shell("./configure --prefix=$PWD/dest", source)
        shell("make -j2 -C src lib && make -j2 -C src-cpp lib && make -j2 -C tests test-runner", source)

    def command(self, home, test, bootstrap):
        name, _, protocol = test.partition("@")
        name, _, part = name.partition("/")
        source = home / self.folder
        settings = home / f"test-{bootstrap.rsplit(':', 1)[1]}.conf"
        # Tests of one broker run side by side, and each reads the file: it is never half of one.
        own = settings.with_name(f"{settings.name}.{threading.get_ident()}")
        own.write_text(f"metadata.broker.list={bootstrap}\ntest.topic.random=true\n")
        own.replace(settings)
        environment = {
            "RDKAFKA_TEST_CONF": str(settings),
            "TESTS": name[:4],
            "KAFKA_VERSION": "4.2.0",
            "TEST_CONSUMER_GROUP_PROTOCOL": protocol or "classic",
            "LD_LIBRARY_PATH": f"{source}/src:{source}/src-cpp",
        }
        if part:
            environment["SUBTESTS"] = part
        quick = ["-Q"] if name[:4] in self.QUICK else []
        return [source / "tests/test-runner", "-p1", "-K", "-L", *quick], environment, source / "tests"

    def judge(self, test, code, output):
        lines = re.findall(r"^.*(\d{4}_\w+)\s*\|\s*(PASSED|FAILED|SKIPPED)", output, re.M)
        if code == 0 and [verdict for name, verdict in lines if name[:4] == test[:4]][:1] == ["PASSED"]:
            return None
        return (re.findall(r"### Test .*?###\n(.*?)\n", output) or [f"exit {code}"])[-1]


class OldLibrdkafka(Librdkafka):
    """An older librdkafka, which speaks older versions: Debian's source package."""

    needs = ["curl", "make", "g++"]
    version = "2.0.2"
    folder = "src"

    def install(self, home):
        package = f"librdkafka_{self.version}.orig.tar.gz"
        shell(f"curl -sSfO https://deb.debian.org/debian/pool/main/libr/librdkafka/{package}", home)
        shell(f"rm -rf src && mkdir src && tar xzf {package} -C src --strip 1", home)
        self.build(home / self.folder)


class RdkafkaRust:
    """rust-rdkafka's tests, from crates.io."""

    needs = ["cargo", "g++"]
    version = "0.39.0"

    def install(self, home):
        shell(f"rm -rf get && cargo new -q get && cd get && cargo add -q rdkafka@={self.version} && cargo fetch -q", home)
        cargo = "${CARGO_HOME:-$HOME/.cargo}"
        shell(f"rm -rf src && cp -r {cargo}/registry/src/*/rdkafka-{self.version} src && chmod -R u+w src", home)
        shell("cargo test -q --no-run --tests --target-dir ../target", home / "src")

    def command(self, home, test, bootstrap):
        binary, name = test.split("::", 1)
        found = [p for p in (home / "target/debug/deps").glob(f"{binary}-*") if p.suffix == ""]
        environment = {"KAFKA_HOST": bootstrap, "KAFKA_VERSION": "4.0.0"}
        return [max(found, key=lambda path: path.stat().st_mtime), "--exact", name], environment, home / "src"

    def judge(self, test, code, output):
        if code == 0 and "1 passed" in output:
            return None
        return (re.findall(r"panicked at [^\n]*\n([^\n]*)", output) or [f"exit {code}"])[0]


SUITES = {
    "java": Java(),
    "kafka-python": KafkaPython(),
    "kafka-go": Go("github.com/segmentio/kafka-go", "v0.4.51", ".", repair_kafka_go),
    "confluent-kafka-go": ConfluentGo(),
    "franz-go": Go("github.com/twmb/franz-go", "v1.22.2", "./pkg/kgo"),
    "librdkafka": Librdkafka(),
    "librdkafka-2-0": OldLibrdkafka(),
    "rdkafka-rs": RdkafkaRust(),
}
