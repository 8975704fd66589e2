"""The boards of grafana/, their sources, and what Grafana would make of them."""
import importlib.machinery
import importlib.util
import json
import pathlib
import re

import promql_parser
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "grafana"


def generator():
    loader = importlib.machinery.SourceFileLoader("generate", str(GRAFANA / "generate"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("generate", loader))
    loader.exec_module(module)
    return module


def boards():
    """{file name without ending: board as it is provisioned}"""
    return {path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))}


def sources():
    return generator().load()


def exceptions():
    return yaml.safe_load((GRAFANA / "lint.yml").read_text())


def source_panels(source):
    return [panel for row in source["rows"] for panel in row["panels"]]


def substitute(expression, values):
    """As Grafana does for Prometheus: `values` has the variables' texts, already escaped."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda it: values[it.group(1) or it.group(2)], expression)


PLAIN = {"job": ".+", "cluster": "c", "instance": ".+", "topic": ".+", "group": ".+", "request": "Produce",
         "__rate_interval": "1m", "__range": "1h", "__interval": "15s"}


def nodes(tree, above=()):
    """(node, its ancestors from the outside in) of a parsed expression."""
    yield tree, above
    inner = [getattr(tree, name, None) for name in ("expr", "lhs", "rhs", "param", "vector_selector")]
    for child in [*inner, *getattr(tree, "args", [])]:
        # Strings and numbers that are no expressions are left alone.
        if child is not None and hasattr(child, "prettify"):
            yield from nodes(child, (*above, tree))


OPERATORS = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}


def selectors(expression):
    """(name, {label: operator and value}, ancestors) of each series selector."""
    for node, above in nodes(promql_parser.parse(substitute(expression, PLAIN))):
        if isinstance(node, promql_parser.VectorSelector):
            matchers = {it.name: f'{OPERATORS[str(it.op)]}"{it.value}"' for it in node.matchers.matchers}
            yield node.name or "", matchers, above


def families():
    """{native family: (type, who shows it)}, as docs/metrics.md has them."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"(?m)^\| `(\w+)` \| (\w+) \| [^|]*\| [^|]*\| ([^|]+) \|", page)
    return {name: (kind, owner.strip()) for name, kind, owner in rows}


def family(series, known):
    """(type, owner) of a native series; (None, None) of one that rules made."""
    return known.get(series) or known.get(re.sub(r"_(bucket|sum|count)$", "", series)) or (None, None)


# Labels with few values, however large the cluster.
FEW = {"delayedOperation", "le", "listener", "outcome", "page", "phase", "reason", "state", "version"}


def bounded(tree):
    """Whether the result stays small when brokers, topics, groups and clients become many."""
    if isinstance(tree, promql_parser.AggregateExpr):
        if str(tree.op) in ("topk", "bottomk"):
            return True
        return tree.modifier is None or set(tree.modifier.labels) <= FEW
    if isinstance(tree, promql_parser.BinaryExpr):
        sides = [bounded(tree.lhs), bounded(tree.rhs)]
        constant = [isinstance(it, promql_parser.NumberLiteral) for it in (tree.lhs, tree.rhs)]
        if str(tree.op) == "or" or any(constant):
            return all(sides)
        return sides[0] if str(tree.op) == "unless" else any(sides)
    if isinstance(tree, promql_parser.Call):
        return tree.func.name == "scalar" or all(bounded(it) for it in tree.args)
    if isinstance(tree, (promql_parser.ParenExpr, promql_parser.UnaryExpr)):
        return bounded(tree.expr)
    return isinstance(tree, promql_parser.NumberLiteral)
