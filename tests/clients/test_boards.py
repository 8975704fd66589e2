"""The Grafana boards as files: made from their sources, readable by Grafana, laid out on one screen, linked, and linted."""
import importlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from grafana_foundation_sdk.models.prometheus import Dataquery

import boards

BOARDS = boards.boards()
COMMON, SOURCES = boards.sources()
EXCEPTIONS = boards.exceptions()
# A full HD screen shows about this many rows of Grafana's grid below its header.
SCREEN_ROWS = 24
# The version that the compose file starts.
GRAFANA = re.search(r"grafana/grafana:(\S+)", (boards.ROOT / "docker-compose.yaml").read_text()).group(1)
QUERIES = [
    pytest.param(name, panel, target, id=f"{name}-{panel['id']}{target['refId']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    for target in panel["targets"]
]
DRAWN_OVER = [
    pytest.param(name, {"type": "annotation"}, row, id=f"{name}-{row['name']}")
    for name, board in BOARDS.items()
    for row in board["annotations"]["list"][1:]
]
NAMES = [pytest.param(name, id=name) for name in BOARDS]


def test_boards_are_what_their_sources_say():
    made = boards.generator().texts()
    there = {path.name: path.read_text() for path in (boards.GRAFANA / "dashboards").glob("*")}
    assert [name for name in made.keys() | there.keys() if made.get(name) != there.get(name)] == [], "run grafana/generate"


def lost(model, value, path):
    """(path, key) of whatever does not come back from Grafana's published schema."""

    def compare(before, after, path):
        if isinstance(before, dict):
            for key, inner in before.items():
                if key in after:
                    yield from compare(inner, after[key], f"{path}.{key}")
                else:
                    yield path, key
        elif isinstance(before, list):
            assert len(before) == len(after), path
            for index, (left, right) in enumerate(zip(before, after)):
                yield from compare(left, right, f"{path}[{index}]")
        else:
            assert before == after, path

    again = JSONEncoder().encode(model.from_json(json.loads(json.dumps(value))))
    return list(compare(value, json.loads(again), path))


@pytest.mark.parametrize("name", NAMES)
def test_grafanas_schema_knows_every_key(name):
    known = {row["key"] for row in EXCEPTIONS["schema"]}
    keys = set(lost(Dashboard, BOARDS[name], name))
    assert [it for it in keys if it[1] not in known] == []
    assert known == {key for _, key in keys}, "an exception that nothing needs"
    for panel in BOARDS[name]["panels"]:
        kind = importlib.import_module(f"grafana_foundation_sdk.models.{panel['type']}")
        assert lost(kind.Options, panel["options"], panel["title"]) == []
        if "custom" in panel["fieldConfig"]["defaults"]:
            assert lost(kind.FieldConfig, panel["fieldConfig"]["defaults"]["custom"], panel["title"]) == []
        for target in panel["targets"]:
            assert lost(Dataquery, target, panel["title"]) == []


@pytest.mark.parametrize("name", NAMES)
def test_panels_fill_one_screen_and_do_not_overlap(name):
    taken = {}
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        assert place["w"] >= 3 and place["h"] >= 3
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    rows = {y for _, y in taken}
    assert len(rows) == max(rows) + 1 <= SCREEN_ROWS
    assert taken.keys() == {(x, y) for x in range(24) for y in rows}


def test_identities_are_unique():
    for field in ("uid", "title"):
        values = [board[field] for board in BOARDS.values()]
        assert len(set(values)) == len(values)
    for name, board in BOARDS.items():
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", board["uid"])
        assert board["id"] is None
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(set(numbers)) == len(numbers)
        titles = [(panel["title"], panel["type"]) for panel in board["panels"]]
        assert len(set(titles)) == len(titles), name


LIST_UNITS = """
    const { JSDOM } = require("jsdom");
    const dom = new JSDOM("<!doctype html>", { url: "http://localhost" });
    global.window = dom.window;
    global.document = dom.window.document;
    Object.defineProperty(global, "navigator", { value: dom.window.navigator, configurable: true });
    const { getValueFormats } = require("@grafana/data");
    console.log(JSON.stringify(getValueFormats().flatMap((group) => group.submenu.map((unit) => unit.value))));
"""


@pytest.fixture(scope="module")
def unit_ids():
    """The units that this version of Grafana knows, asked of its own package once."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "pharos"
    listed = cache / f"grafana-units-{GRAFANA}.json"
    if not listed.exists():
        if shutil.which("npm") is None:
            pytest.skip("units are not compared with Grafana's: no npm here")
        wanted = [f"@grafana/data@{GRAFANA}", "react@18", "react-dom@18", "rxjs@7", "jsdom@24"]
        with tempfile.TemporaryDirectory() as home:
            fetched = subprocess.run(
                ["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", *wanted],
                cwd=home, capture_output=True, text=True, timeout=300,
            )
            if fetched.returncode:
                pytest.skip(f"units are not compared with Grafana's: npm cannot fetch its package: {fetched.stderr[-200:]}")
            ran = subprocess.run(["node", "-e", LIST_UNITS], cwd=home, capture_output=True, text=True, timeout=60)
            assert ran.returncode == 0, ran.stderr
        cache.mkdir(parents=True, exist_ok=True)
        # Packages print notices of their own before it.
        listed.write_text(ran.stdout.splitlines()[-1])
    return set(json.loads(listed.read_text()))


def test_grafana_knows_every_unit(unit_ids):
    used = set()
    for board in BOARDS.values():
        for panel in board["panels"]:
            used.add(panel["fieldConfig"]["defaults"]["unit"])
            for override in panel["fieldConfig"]["overrides"]:
                used |= {it["value"] for it in override["properties"] if it["id"] == "unit"}
    assert used - unit_ids == set()


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    by_uid = {board["uid"]: board for board in BOARDS.values()}
    runbooks = boards.ROOT / "docs" / "runbooks"
    served = COMMON["runbook"].split("{")[0]
    own = {it["name"] for it in BOARDS[name]["templating"]["list"]}
    for panel in BOARDS[name]["panels"]:
        config = panel["fieldConfig"]
        links = [*panel["links"], *config["defaults"]["links"]]
        links += [link for it in config["overrides"] for row in it["properties"] if row["id"] == "links" for link in row["value"]]
        assert any(link["url"].startswith("/d/") for link in panel["links"]), panel["title"]
        for link in links:
            if link["url"].startswith(served):
                page = link["url"].removeprefix(served)
                assert "$" in page or (runbooks / page).exists(), f"{panel['title']}: no runbook {page}"
                continue
            uid, _, rest = link["url"].removeprefix("/d/").partition("?")
            there = {it["name"] for it in by_uid[uid]["templating"]["list"]}
            kept = set(re.findall(r"\$\{(\w+):queryparam\}", rest))
            passed = set(re.findall(r"var-(\w+)=", rest))
            assert kept <= own and kept | passed <= there and not kept & passed, (panel["title"], link["url"])
            assert {"datasource", "job", "cluster", "instance"} <= kept | passed
            assert "${__url_time_range}" in rest


@pytest.mark.parametrize("name", NAMES)
def test_board_keeps_the_linters_rules(name):
    board = BOARDS[name]
    assert board["editable"] is False
    assert board["schemaVersion"] == 39
    assert board["description"].endswith("?")
    first, *others = board["templating"]["list"]
    assert (first["type"], first["name"], first["label"], first["query"]) == ("datasource", "datasource", "Data source", "prometheus")
    by_name = {it["name"]: it for it in others}
    assert list(by_name)[:3] == ["job", "cluster", "instance"]
    for variable in others:
        assert variable["datasource"]["uid"] == "${datasource}"
        assert variable["refresh"] == 2
        selector = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).group(1)
        assert list(boards.selectors(selector))
        if variable["multi"]:
            assert variable["includeAll"] and variable["allValue"] == ".+"
    assert by_name["job"]["multi"] and by_name["instance"]["multi"] and not by_name["cluster"]["multi"]
    for panel in board["panels"]:
        assert panel["title"] and panel["targets"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] and defaults["noValue"]
        # Grafana's editor leaves 80 behind on any scale.
        assert 80 not in [step["value"] for step in defaults["thresholds"]["steps"]]


# What a board that shows all of cluster c asks for; several values are matched by `=~`.
MATCHERS = {"job": '=~".+"', "cluster": '="c"', "instance": '=~".+"'}
MOVING = ("active controller", "partition leader", "group coordinator")
RATES = {"rate", "increase"}
# The series of these beans without the label is the total of those with it.
TOTALS = {
    "kafka_server_brokertopicmetrics_.*": "topic",
    "kafka_network_requestmetrics_.*": "request",
    "kafka_network_requestchannel_responsequeuesize": "processor",
}


@pytest.mark.parametrize("name, panel, target", QUERIES + DRAWN_OVER)
def test_query_keeps_the_linters_rules(name, panel, target):
    known = boards.families()
    for series, matchers, above in boards.selectors(target["expr"]):
        kind, owner = boards.family(series, known)
        wanted = set(MATCHERS) - may_lack(series)
        aggregations = {str(it.op) for it in above if isinstance(it, promql_parser.AggregateExpr)}
        if owner in MOVING:
            # It leaves one node's page and appears on another's: a board must neither lose nor double it then.
            assert "instance" not in matchers, series
            assert aggregations & {"max", "min", "sum", "avg", "count"}, f"{series} is drawn once for each node that had it"
            wanted.discard("instance")
        assert {label for label in wanted if matchers.get(label) != MATCHERS[label]} == set(), series
        if kind in ("counter", "histogram") or (kind is None and series.endswith("_total")):
            called = {it.func.name for it in above if isinstance(it, promql_parser.Call)}
            assert called & RATES, f"{series} is a counter"
        if "quantile" in matchers:
            assert aggregations and aggregations <= {"max", "min", "topk", "bottomk"}, "percentiles cannot be added or averaged"
        for pattern, label in TOTALS.items():
            # Errors have no total: their bean always names the request.
            if re.fullmatch(pattern, series) and not series.endswith("errors_total") and f"by ({label})" not in target["expr"]:
                assert label in matchers, f"{series} counts twice"
    assert set(re.findall(r"\[([^\]]+)\]", target["expr"])) <= {"$__rate_interval", "$__range"}
    if panel["type"] not in ("stat", "annotation"):
        assert boards.bounded(promql_parser.parse(boards.substitute(target["expr"], boards.PLAIN))), "too much to see at 100 brokers"


def may_lack(series):
    return {label for row in EXCEPTIONS["selectors"] if re.fullmatch(row["series"], series) for label in row["may_lack"]}


def test_every_exception_is_needed():
    seen = {series for _, _, target in (it.values for it in QUERIES + DRAWN_OVER) for series, _, _ in boards.selectors(target["expr"])}
    for row in EXCEPTIONS["selectors"]:
        assert row["reason"]
        assert any(re.fullmatch(row["series"], series) for series in seen), row["series"]


def test_a_panels_legend_names_labels_that_its_query_keeps():
    for _, panel, target in (it.values for it in QUERIES):
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
            assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), (panel["title"], label)


def test_tables_name_fields_that_their_queries_have():
    for name, source in SOURCES.items():
        for panel in boards.source_panels(source):
            if panel.get("kind") == "table":
                kept = {label for row in panel["queries"] for group in re.findall(r"by \(([^)]*)\)", row["expr"]) for label in group.split(", ")}
                headings = [*panel["columns"].values(), *(row["column"] for row in panel["queries"] if "column" in row)]
                assert set(panel["columns"]) <= kept and set(panel.get("optional", [])) <= set(panel["columns"])
                assert len(set(headings)) == len(headings)
                assert {panel[key] for key in ("sort", "runbook_column") if key in panel} <= set(headings), (name, panel["title"])


def test_the_list_of_boards_is_whole():
    page = (boards.GRAFANA / "README.md").read_text()
    listed = re.findall(r"(?m)^\| ([^|]+) \| ([^|]+\?) \|$", page)
    assert sorted(listed) == sorted((source["title"], source["question"]) for source in SOURCES.values())


def test_the_slo_board_shows_what_the_rules_promise():
    groups = yaml.safe_load((boards.ROOT / "prometheus" / "rules" / "objectives.yml").read_text())["groups"]
    rules = {rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}
    bounds = {bound for expression in rules.values() for bound in re.findall(r'le="([^"]+)"', expression)}
    panels = {panel["title"]: panel for panel in boards.source_panels(SOURCES["slo"])}
    for objective, kept, budgets in (
        ("produce_availability", "Written without a fault", ["Budget of faults left", "How fast faults spend the budget"]),
        ("produce_latency", "Written within 100 ms", ["Budget of slowness left", "How fast slow requests spend the budget"]),
    ):
        share = float(re.fullmatch(r"vector\((.+)\)", rules[f"slo:{objective}:objective"]).group(1))
        assert panels[kept]["thresholds"] == f"red, green {share:g}"
        for title in budgets:
            [query] = panels[title]["queries"]
            assert query["expr"].endswith(f"/ {1 - share:g}"), title
    shown = {bound for panel in panels.values() for row in panel["queries"] for bound in re.findall(r'le="([^"]+)"', row["expr"])}
    assert shown == bounds
    assert panels["Time of produce requests"]["thresholds"] == f"transparent, red {bounds.pop()}"
