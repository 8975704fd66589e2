"""Runs other people's test suites against a broker of their own.

`suites/NAME.txt` lists the tests of a suite that pass on Apache Kafka 4.3.1, those marked `quick` run each time and all of
them with PHAROS_FULL=1. `exceptions/NAME.txt` names those that do not pass here yet, with the area that is missing; such
a test must fail, so that the list shrinks with what is built."""
import concurrent.futures
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess

import pytest
from suites.definitions import SUITES
from tools import ours

HERE = pathlib.Path(__file__).parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "pharos" / "suites"
FULL = bool(os.environ.get("PHAROS_FULL"))
TEST_LIMIT_SECONDS = 300
AT_ONCE = 3
# Suites ask for sessions below the default minimum, and for retention and cleaning that can be waited for.
SETTINGS = [
    "node.id=1",
    "num.partitions=4",
    "group.min.session.timeout.ms=1000",
    "group.consumer.min.session.timeout.ms=1000",
    "group.consumer.session.timeout.ms=10000",
    "group.consumer.min.heartbeat.interval.ms=500",
    "group.consumer.heartbeat.interval.ms=1000",
    "log.retention.check.interval.ms=5000",
    "log.cleaner.backoff.ms=1000",
]


def rows(path):
    """NAME, tab, a word: the lines of a list."""
    if not path.exists():
        return {}
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict((line.split("\t") + [""])[:2] for line in lines)


def install(name, suite):
    """The suite's folder in the cache, filled once."""
    home = CACHE / f"{name}-{suite.version}"
    home.mkdir(parents=True, exist_ok=True)
    with open(home / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".complete").exists() or name == "java":
            suite.install(home)
            (home / ".complete").touch()
    return home


def run_one(suite, home, test, bootstrap):
    """None when the test passed, else why not."""
    command, environment, cwd = suite.command(home, test, bootstrap)
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=TEST_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        return f"no end within {TEST_LIMIT_SECONDS} s"
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
    return suite.judge(test, process.returncode, output)


def run(suite, home, tests, bootstrap):
    if hasattr(suite, "batch"):
        return suite.batch(home, tests, bootstrap)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        verdicts = pool.map(lambda test: run_one(suite, home, test, bootstrap), tests)
        return dict(zip(tests, verdicts))


def meet_groups(node):
    """Lets the broker make its topic of offsets: the first group of a cluster is told to come again, and suites do not."""
    command = [*ours(node.directory, "")("consumer-groups"), "--describe", "--group", "nobody"]
    subprocess.run([*command, "--bootstrap-server", node.bootstrap], capture_output=True, timeout=60)


@pytest.mark.parametrize("name", list(SUITES))
def test_suite(name, make_node):
    suite = SUITES[name]
    listed = rows(HERE / "suites" / f"{name}.txt")
    excepted = rows(HERE / "exceptions" / f"{name}.txt")
    assert excepted.keys() <= listed.keys(), "an exception that is no test of the suite"
    assert all(excepted.values()), "an exception without its reason"
    tests = [test for test, when in listed.items() if FULL or when == "quick"]
    if not tests:
        pytest.skip("only in the full form")
    missing = [program for program in suite.needs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}")
    home = install(name, suite)
    node = make_node(*SETTINGS)
    meet_groups(node)
    verdicts = run(suite, home, tests, node.bootstrap)
    failed = {test: why for test, why in verdicts.items() if why is not None}
    new = {test: why for test, why in failed.items() if test not in excepted}
    healed = [test for test in tests if test in excepted and test not in failed]
    assert not new, f"{name}: {new}"
    assert not healed, f"{name}: these pass now, take them off the list: {healed}"
