"""The shipped rules and configuration of Prometheus and Alertmanager: sound by the tools of both, proven to fire,
resolve and stay silent, and written in names and labels that a running broker shows."""
import collections
import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import urllib.request

import pytest
import yaml
from alerting import pages, quicken, rules
from conftest import Node
from prometheus import listening_port, wait_for

HOME = rules.HOME
EVALUATION_SECONDS, SCRAPE_SECONDS = (
    rules.seconds(yaml.safe_load((HOME / "prometheus.yml").read_text())["global"][key])
    for key in ("evaluation_interval", "scrape_interval")
)
# How old a sample may be that Prometheus takes for the value of now.
LOOKBACK_SECONDS = 300
SEVERITIES = {"critical", "warning", "info"}
# Fires always: that is its use.
NEVER_SILENT = {"Watchdog"}
# What cannot be made to happen here has the labels of its sibling, which the same bean template makes.
SAME_LABELS_AS = {
    "kafka_server_brokertopicmetrics_failedfetchrequests_total": "kafka_server_brokertopicmetrics_totalfetchrequests_total",
}
# Families that a node shows only where a setting asks for it: that one lacks them says nothing.
ASKED_FOR = {
    "pharos_certificate_expiry_timestamp_seconds",
    "pharos_spans_dropped_total",
    "pharos_spans_exported_total",
}
# A language that is small enough to be evaluated elsewhere, too.
FUNCTIONS = set(
    "rate increase delta deriv changes resets avg_over_time min_over_time max_over_time sum_over_time count_over_time "
    "last_over_time absent clamp_min clamp_max time vector predict_linear label_replace".split()
)
AGGREGATIONS = {"sum", "min", "max", "avg", "count", "topk"}

RULES = rules.of_files()
ALERTS = rules.alerts()
NAMES = sorted({rule["alert"] for rule in ALERTS})
TESTS = [(file.name, test) for file in rules.TEST_FILES for test in yaml.safe_load(file.read_text())["tests"]]


def ids(rule):
    return f"{rule['alert']}-{rule['labels']['severity']}"


every_alert = pytest.mark.parametrize("rule", ALERTS, ids=ids)


def tool(name, *arguments):
    if shutil.which(name) is None:
        pytest.skip(f"no {name}")
    ran = subprocess.run([name, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@contextlib.contextmanager
def running(settings=lambda directory: ((), None)):
    with tempfile.TemporaryDirectory(prefix="pharos-test-") as directory:
        overrides, trust = settings(pathlib.Path(directory))
        node = Node(directory, overrides)
        node.trust = trust
        try:
            yield node.start()
        finally:
            node.stop()


def by_name(node):
    """Label sets by name: [(job, labels), ...] on the pages of a broker."""
    found = collections.defaultdict(list)
    for job, name, labels in pages.samples(node):
        found[name].append((job, labels))
    return found


@pytest.fixture(scope="module")
def plain():
    """What a broker shows of which nothing was asked, and that has seen everything."""
    with running() as node:
        pages.fill(node)
        wait_for(lambda: node.metric("kafka_consumergroup_lag_sum", consumergroup="billing"), 0)
        return by_name(node)


@pytest.fixture(scope="module")
def shown(plain):
    """The same with what has to be asked for."""
    with running(pages.asked_for) as node:
        more = by_name(node)
    found = {name: plain.get(name) or more[name] for name in plain.keys() | ASKED_FOR & more.keys()}
    for name, sibling in SAME_LABELS_AS.items():
        found[name] = found.get(name, []) + found[sibling]
    return found


@pytest.fixture(scope="module")
def labels(shown):
    """Labels that some series of the name has; an absent label is an empty one."""
    families = {
        name: frozenset(rules.TARGET_LABELS.union(*(labels for _, labels in series))) for name, series in shown.items()
    }
    return rules.Labels(families)


def test_promtool_accepts_configuration_and_rules():
    assert "FAILED" not in tool("promtool", "check", "config", HOME / "prometheus.yml")
    assert "FAILED" not in tool("promtool", "check", "rules", "--lint=all", "--lint-fatal", *rules.FILES)


@pytest.mark.parametrize("file", rules.TEST_FILES, ids=lambda file: file.stem)
def test_promtool_tests_pass(file):
    tool("promtool", "test", "rules", file)


def test_each_file_of_rules_is_tested():
    tested = {pathlib.Path(name).stem for file in rules.TEST_FILES for name in yaml.safe_load(file.read_text())["rule_files"]}
    assert tested == {file.stem for file in rules.FILES}


@pytest.mark.parametrize("file", rules.TEST_FILES, ids=lambda file: file.stem)
def test_records_are_evaluated_before_alerts(file):
    document = yaml.safe_load(file.read_text())
    groups = [
        group for name in document["rule_files"] for group in yaml.safe_load((file.parent / name).read_text())["groups"]
    ]
    alerting = {group["name"] for group in groups if any("alert" in rule for rule in group["rules"])}
    order = document["group_eval_order"]
    assert sorted(order) == sorted(group["name"] for group in groups)
    assert set(order[-len(alerting):]) == alerting


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_fires_resolves_and_stays_silent(name):
    fires = resolves = silent = False
    severities = set()
    for _, test in TESTS:
        found = [len(case["exp_alerts"]) for case in test["alert_rule_test"] if case["alertname"] == name]
        severities |= {
            alert["exp_labels"]["severity"]
            for case in test["alert_rule_test"] if case["alertname"] == name for alert in case["exp_alerts"]
        }
        fires |= any(found)
        resolves |= any(before and not after for before, after in zip(found, found[1:]))
        silent |= bool(found) and not any(found) and bool(test["input_series"])
    assert fires
    assert name in NEVER_SILENT or (resolves and silent)
    assert severities == {rule["labels"]["severity"] for rule in ALERTS if rule["alert"] == name}


def test_tests_name_alerts_that_exist():
    assert {case["alertname"] for _, test in TESTS for case in test["alert_rule_test"]} == set(NAMES)


def test_names_and_labels_of_rules_are_those_of_the_pages(labels):
    for rule in RULES:
        for node in rules.walk(rules.parse(rule["expr"])):
            if rules.kind(node) == "VectorSelector":
                assert node.name in labels.families, f"{rule['expr']}: no page shows {node.name}"
                asked = {matcher.name for matcher in rules.matchers(node)}
                assert asked <= labels.families[node.name], f"{node.name} has no {asked - labels.families[node.name]}"
            elif rules.kind(node) == "AggregateExpr":
                assert set(node.modifier.labels) <= labels.of(node.expr), rule["expr"]
            elif rules.kind(node) == "BinaryExpr" and node.modifier and node.modifier.matching:
                left, right = labels.of(node.lhs), labels.of(node.rhs)
                on = str(node.modifier.matching).startswith("on")
                assert set(node.modifier.matching.labels) <= (left & right if on else left | right), rule["expr"]


def test_matchers_find_series(shown):
    # Values that tests cannot bring about: what fails inside the broker, and what only several brokers have.
    unseen = {"error", "state"}
    for rule in RULES:
        for selector in rules.selectors(rules.parse(rule["expr"])):
            if selector.name not in shown:
                continue
            wanted = [matcher for matcher in rules.matchers(selector) if matcher.name not in unseen]
            assert any(all(matches(it, labels.get(it.name, "")) for it in wanted) for _, labels in shown[selector.name]), (
                f"{selector.prettify()} finds nothing"
            )


def test_to_describe_groups_is_no_error(plain):
    told = [labels for _, labels in plain["kafka_network_requestmetrics_errors_total"]]
    assert {"error": "GROUP_ID_NOT_FOUND", "request": "ConsumerGroupDescribe"} in told
    [rule] = [rule for rule in ALERTS if rule["alert"] == "RequestErrors"]
    left_out = [
        [(it.name, it.value) for it in rules.matchers(selector)] for selector in rules.selectors(rules.parse(rule["expr"]))
    ]
    assert [("error", "GROUP_ID_NOT_FOUND"), ("request", "ConsumerGroupDescribe|DescribeGroups")] in left_out


def matches(matcher, value):
    match str(matcher.op).removeprefix("MatchOp."):
        case "Equal":
            return value == matcher.value
        case "NotEqual":
            return value != matcher.value
        case "Re":
            return re.fullmatch(matcher.value, value) is not None
        case "NotRe":
            return re.fullmatch(matcher.value, value) is None


def test_input_series_are_like_those_of_the_pages(shown):
    for file, test in TESTS:
        for it in test["input_series"]:
            name, given = pages.series(it["series"])
            assert rules.TARGET_LABELS <= set(given), it["series"]
            own = {label: value for label, value in given.items() if label not in rules.TARGET_LABELS}
            if name in rules.OF_PROMETHEUS:
                assert not own and given["job"] in pages.PAGES
                continue
            assert name in shown, f"{file}: no page shows {name}"
            assert (given["job"], set(own)) in [(job, set(labels)) for job, labels in shown[name]], f"{file}: {it['series']}"


@every_alert
def test_an_alert_says_what_it_should(rule, labels):
    assert set(rule) <= {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
    assert rule["labels"].keys() == {"severity"} and rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"
    assert rules.seconds(rule["for"]) >= 2 * EVALUATION_SECONDS
    # A page that fails leaves what is read as it is now without samples until the next scrape.
    if now(rule["expr"]):
        assert rules.seconds(rule.get("keep_firing_for", "0s")) >= 4 * SCRAPE_SECONDS
    survive = labels.of(rules.parse(rule["expr"]))
    for text in rule["annotations"].values():
        assert rules.templated(text) <= survive, f"{text}: left are {survive}"
    # The thing is named: every label but the target's own is in the text.
    assert survive - rules.TARGET_LABELS <= rules.templated(" ".join(rule["annotations"].values()))
    if "instance" in survive:
        assert "instance" in rules.templated(rule["annotations"]["summary"])


@every_alert
def test_an_alert_compares(rule):
    compares = any(
        rules.is_comparison(node) and not (node.modifier and node.modifier.return_bool) for node in rules.walk(rules.parse(rule["expr"]))
    )
    absent = any(rules.kind(node) == "Call" and node.func.name == "absent" for node in rules.walk(rules.parse(rule["expr"])))
    assert compares or absent or rule["alert"] in NEVER_SILENT


def now(expression):
    """Families of the pages that an expression, or what is recorded for it, reads as they are now."""
    found = set()
    for node, above in parents(rules.parse(expression)):
        if rules.kind(node) == "VectorSelector" and rules.kind(above[-1] if above else None) != "MatrixSelector":
            recorded = [rule["expr"] for rule in rules.records() if rule["record"] == node.name]
            found |= set().union(*map(now, recorded)) if recorded else {node.name} - rules.OF_PROMETHEUS
    return found


def moves(name, labels):
    """Whether series of the name have one owner that can change, rather than one on each broker."""
    native = dict(re.findall(r"^\| `(\w+)` \|(?:[^|]*\|){3} ([\w ]+) \|", (HOME.parent / "docs" / "metrics.md").read_text(), re.M))
    if name in native:
        return native[name] != "each node"
    if name.startswith("kafka_controller_"):
        return not name.endswith("_metadataerrorcount")
    return bool(labels.families[name] & {"topic", "partition", "consumergroup"})


def leaves(expression):
    """Families that an expression reads, through recording rules down to the pages."""
    made = collections.defaultdict(list)
    for rule in rules.records():
        made[rule["record"]].append(rule["expr"])
    pending, seen = [expression], set()
    while pending:
        for selector in rules.selectors(rules.parse(pending.pop())):
            if selector.name not in seen:
                seen.add(selector.name)
                pending += made.get(selector.name, [])
    return {name for name in seen if name not in made}


@every_alert
def test_an_alert_survives_a_change_of_owner(rule, labels):
    survive = labels.of(rules.parse(rule["expr"]))
    moving = {
        selector.name for selector in rules.selectors(rules.parse(rule["expr"]))
        if ":" not in selector.name and moves(selector.name, labels)
    }
    assert not moving or not survive & {"instance", "job"}, moving


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_expressions_are_plain_and_sound(rule):
    for node in rules.walk(rules.parse(rule["expr"])):
        match rules.kind(node):
            case "AggregateExpr":
                assert str(node.op) in AGGREGATIONS
                # Labels that an operator adds to the targets must survive.
                assert "Without" in str(node.modifier.type), f"{node.prettify()}: by() drops labels of the target"
            case "Call":
                assert node.func.name in FUNCTIONS
            case "MatrixSelector":
                assert node.range.total_seconds() >= 4 * SCRAPE_SECONDS
            case "VectorSelector":
                assert node.at is None
                assert not any(it.name == "job" for it in rules.matchers(node)) or rule.get("record") == "instance_job:pharos_up:last"
                for it in rules.matchers(node):
                    assert not str(it.op).endswith("Re") or re.search(r"[|.*+?\[\\]", it.value), "a regex for plain text"


def parents(node, above=()):
    yield node, above
    for child in rules.children(node):
        yield from parents(child, (*above, node))


@every_alert
def test_counters_are_read_by_their_increase_and_the_first_event_counts(rule):
    tree = rules.parse(rule["expr"])
    appeared = set()
    for node in rules.walk(tree):
        if rules.kind(node) == "BinaryExpr" and rules.operator(node) == "unless":
            new, known = rules.bare(node.lhs), rules.bare(node.rhs)
            if rules.kind(new) != "VectorSelector" or {it.name for it in rules.selectors(known)} != {new.name}:
                continue
            assert rules.kind(known) == "Call" and known.func.name == "max_over_time", f"{known.prettify()} may have a hole"
            # Longer than the record of pages that are known looks back.
            assert known.args[0].range.total_seconds() >= LOOKBACK_SECONDS + 2 * (EVALUATION_SECONDS + SCRAPE_SECONDS)
            appeared.add((new.name, known.args[0].vector_selector.offset))
    for node, above in parents(tree):
        if rules.kind(node) == "VectorSelector" and node.name.endswith("_total") and rules.kind(above[-1]) != "MatrixSelector":
            assert any(name == node.name for name, _ in appeared), f"{node.name} is compared as it is"
        if rules.kind(node) == "Call" and node.func.name in ("increase", "rate"):
            compared = next((it for it in reversed(above) if rules.is_comparison(it)), None)
            limit = compared and rules.bare(compared.rhs)
            if limit is not None and rules.kind(limit) == "NumberLiteral" and limit.val == 0:
                selector = node.args[0].vector_selector
                assert (selector.name, node.args[0].range) in appeared, f"{selector.name} may be born above 0"


def test_what_an_alert_reads_is_missed_when_it_is_gone():
    watched = {rule["labels"]["family"] for rule in rules.records() if rule["record"] == "cluster_family:pharos_absent:sum"}
    read = set().union(*(leaves(rule["expr"]) for rule in ALERTS if rule["alert"] != "SeriesAbsent")) - rules.OF_PROMETHEUS
    assert watched == read - ASKED_FOR
    for rule in rules.records():
        if rule["record"] == "cluster_family:pharos_absent:sum":
            assert rule["expr"].strip().endswith(f"unless on (cluster) {rule['labels']['family']}")


def test_what_is_asked_for_is_shown_where_it_is_asked_for(plain, shown):
    assert ASKED_FOR <= shown.keys() and not ASKED_FOR & plain.keys()


def test_no_alert_is_said_twice():
    said = [ids(rule) for rule in ALERTS]
    assert sorted(set(said)) == sorted(said)
    assert len({rule["expr"] for rule in ALERTS}) == len(ALERTS)


RUNBOOK = ["Meaning", "How to see it", "What to do", "Rehearsal"]


def test_each_alert_has_a_runbook_and_each_runbook_an_alert():
    assert sorted(file.stem for file in rules.RUNBOOKS.glob("*.md")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_has_the_form(name):
    text = (rules.RUNBOOKS / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    sections = re.split(r"^## (.*)\n", text, flags=re.M)[1:]
    assert sections[::2] == RUNBOOK
    assert all(body.strip() for body in sections[1::2])
    assert all(len(line) <= 110 for line in text.splitlines() if not line.startswith("    "))
    assert "promtool" in sections[7] or "live" in sections[7]
    # It speaks of what the alert reads.
    expressions = [rule["expr"] for rule in ALERTS if rule["alert"] == name]
    read = {selector.name for it in expressions for selector in rules.selectors(rules.parse(it))}.union(*map(leaves, expressions))
    assert not read or any(family in text for family in read), f"names none of {read}"


def test_alertmanager_routes():
    file = HOME / "alertmanager.yml"
    tool("amtool", "check-config", file)
    for wanted, given in [
        ("watchdog", ["alertname=Watchdog", "severity=info"]),
        ("operator", ["alertname=BrokerDown", "severity=critical", "cluster=c"]),
        ("operator", ["alertname=ConsumerLagSeconds", "severity=warning", "cluster=c"]),
        ("operator", ["alertname=TopicWithoutTraffic", "severity=info", "cluster=c"]),
    ]:
        found = tool("amtool", "config", "routes", "test", f"--config.file={file}", f"--verify.receivers={wanted}", *given)
        assert found.strip() == wanted
    route = yaml.safe_load(file.read_text())["route"]
    assert route["group_by"] == ["cluster", "alertname"]


def test_in_a_container_nothing_is_sent_to_localhost(tmp_path):
    [_, _, script] = yaml.safe_load((HOME.parent / "docker-compose.yaml").read_text())["services"]["alertmanager"]["entrypoint"]

    def made(shipped):
        there = tmp_path / "there.yml"
        there.write_text(shipped)
        rewrite = script.split("&&")[0].replace("/etc/alertmanager/alertmanager.yml", str(there))
        rewrite = rewrite.replace("> /alertmanager/", f"> {tmp_path}/")
        subprocess.run(["sh", "-c", rewrite], check=True, timeout=10)
        tool("amtool", "check-config", tmp_path / "alertmanager.yml")
        return yaml.safe_load((tmp_path / "alertmanager.yml").read_text())

    shipped = (HOME / "alertmanager.yml").read_text()
    told = yaml.safe_load(shipped)
    expected = {**told, "receivers": [{"name": it["name"]} for it in told["receivers"]]}
    assert made(shipped) == expected
    # Addresses that somebody chose are kept.
    chosen = shipped.replace("localhost:5001", "pager:5001")
    assert made(chosen) == yaml.safe_load(chosen) != told


def test_inhibitions_name_alerts_and_labels_that_exist(labels):
    survive = collections.defaultdict(set)
    for rule in ALERTS:
        survive[rule["alert"]] |= labels.of(rules.parse(rule["expr"])) | {"alertname", "severity"}
    for rule in yaml.safe_load((HOME / "alertmanager.yml").read_text())["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            name, _, wanted = re.fullmatch(r'(\w+) (=~?) "([^"]+)"', matcher).groups()
            assert name in ("alertname", "severity")
            known = set(NAMES) if name == "alertname" else SEVERITIES
            assert set(wanted.split("|")) <= known, matcher
        assert "cluster" in rule["equal"]
        assert set(rule["equal"]) <= set().union(*survive.values())


@pytest.fixture
def alertmanager(tmp_path):
    """The address of a real one with the shipped configuration."""
    if shutil.which("prometheus-alertmanager") is None:
        pytest.skip("no Alertmanager")
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            ["prometheus-alertmanager", f"--config.file={HOME}/alertmanager.yml", f"--storage.path={tmp_path}/alerts",
             "--web.listen-address=127.0.0.1:0", "--cluster.listen-address="],
            stdout=log, stderr=log,
        )
    try:
        wait_for(lambda: listening_port(tmp_path / "log") is not None, True)
        yield f"http://127.0.0.1:{listening_port(tmp_path / 'log')}/api/v2/alerts"
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_what_follows_from_a_broker_that_is_down_is_not_sent(alertmanager):
    sent = [
        ("BrokerDown", "critical", {"instance": "b1"}),
        ("UnderReplicatedPartitions", "warning", {"topic": "orders"}),
        ("SeriesAbsent", "warning", {"family": "kafka_brokers"}),
        ("PartitionsUnderMinIsr", "critical", {"topic": "orders"}),
        ("LogDirFull", "critical", {"instance": "b2", "log_dir": "/a"}),
        ("LogDirFull", "warning", {"instance": "b2", "log_dir": "/a"}),
        ("LogDirFull", "warning", {"instance": "b2", "log_dir": "/b"}),
        ("CertificateExpires", "critical", {"instance": "b2", "listener": "admin"}),
        ("CertificateExpires", "warning", {"instance": "b2", "listener": "admin"}),
        ("CertificateExpires", "warning", {"instance": "b2", "listener": "CLIENTS"}),
        ("GroupStalled", "critical", {"consumergroup": "g", "topic": "orders"}),
        ("ConsumerLagGrowing", "warning", {"consumergroup": "g", "topic": "orders"}),
        ("ConsumerLagGrowing", "warning", {"consumergroup": "h", "topic": "orders"}),
    ]
    alerts = [
        {"labels": {"alertname": name, "severity": severity, "cluster": "c", **labels}}
        for name, severity, labels in sent
    ]
    # Other clusters have the same trouble, but all their brokers; a page fails in one of them.
    alerts += [
        {"labels": {"alertname": name, "severity": "warning", "cluster": cluster, **labels}}
        for name, cluster, labels in [
            ("UnderReplicatedPartitions", "d", {"topic": "orders"}),
            ("ScrapeFailing", "d", {"instance": "b1", "job": "pharos"}),
            ("SeriesAbsent", "d", {"family": "kafka_brokers"}),
            ("SeriesAbsent", "e", {"family": "kafka_brokers"}),
        ]
    ]
    request = urllib.request.Request(
        alertmanager, data=json.dumps(alerts).encode(), headers={"Content-Type": "application/json"}
    )

    def ask(request):
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    wait_for(lambda: ask(request) is not None, True)

    def silenced():
        found = [(it["labels"], it["status"]) for it in json.loads(ask(alertmanager))]
        assert all(status["state"] in ("unprocessed", "active", "suppressed") for _, status in found)
        return sorted(
            (labels["cluster"], labels["alertname"], labels.get("log_dir") or labels.get("consumergroup") or labels.get("listener") or "")
            for labels, status in found if status["inhibitedBy"]
        )

    wait_for(silenced, [
        ("c", "CertificateExpires", "admin"),
        ("c", "ConsumerLagGrowing", "g"),
        ("c", "LogDirFull", "/a"),
        ("c", "SeriesAbsent", ""),
        ("c", "UnderReplicatedPartitions", ""),
        ("d", "SeriesAbsent", ""),
    ])


@pytest.mark.parametrize("text, divided", [
    ("rate(a_total[5m])", "rate(a_total[1m])"),
    ('a{topic=~"x|y"} offset 10m', 'a{topic=~"x|y"} offset 2m'),
    ("a unless a offset 10m", "a unless a offset 2m"),
    ("max without (instance) (a_seconds) > 300", "max without (instance) (a_seconds) > 60"),
    ("time() - a_timestamp_seconds < 600", "time() - a_timestamp_seconds < 120"),
    ("a_lag_ms > 10000", "a_lag_ms > 2000"),
    ("a unless max_over_time(a[5m] offset 10m)", "a unless max_over_time(a[1m] offset 2m)"),
    ("max_over_time(a_seconds[5m]) > 600", "max_over_time(a_seconds[1m]) > 120"),
    ("predict_linear(a_bytes[1h], 14400) < 0", "predict_linear(a_bytes[12m], 2880) < 0"),
    ("a_bytes > 1000", "a_bytes > 1000"),
    ("changes(a_seconds[30m]) > 2", "changes(a_seconds[6m]) > 2"),
    ("count(a_seconds) > 10", "count(a_seconds) > 10"),
    ("rate(a_seconds_total[5m]) > 10", "rate(a_seconds_total[1m]) > 10"),
])
def test_a_rehearsal_divides_time_and_nothing_else(text, divided):
    assert quicken.expression(text, 5) == rules.parse(divided).prettify()


def test_a_rehearsal_at_the_same_pace_is_the_same(tmp_path):
    quicken.configuration(1, tmp_path)
    for file in rules.FILES:
        same = yaml.safe_load((tmp_path / "rules" / file.name).read_text())
        for group, shipped in zip(same["groups"], yaml.safe_load(file.read_text())["groups"], strict=True):
            for rule, it in zip(group["rules"], shipped["rules"], strict=True):
                assert rules.parse(rule.pop("expr")).prettify() == rules.parse(it.pop("expr")).prettify()
                for key in ("for", "keep_firing_for"):
                    assert rules.seconds(rule.pop(key, "0s")) == rules.seconds(it.pop(key, "0s"))
                assert rule == it
