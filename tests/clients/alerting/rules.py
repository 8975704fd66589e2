"""The shipped rule files as data: what an expression reads, and which labels its result has."""
import functools
import pathlib
import re

import promql_parser as promql
import yaml

HOME = pathlib.Path(__file__).parents[3] / "prometheus"
RUNBOOKS = HOME.parent / "docs" / "runbooks"
FILES = sorted((HOME / "rules").glob("*.yml"))
TEST_FILES = sorted((HOME / "rules" / "tests").glob("*.yml"))
# What prometheus.yml and a scrape give every series.
TARGET_LABELS = frozenset({"cluster", "instance", "job"})
# Made by Prometheus itself for every target.
OF_PROMETHEUS = {"up"}
COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}


def seconds(duration):
    return 0 if duration == "0s" else promql.parse_duration(duration).total_seconds()


@functools.cache
def of_files():
    """Every rule of every file, in order."""
    return [rule for file in FILES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


@functools.cache
def parse(expression):
    return promql.parse(expression)


def alerts():
    return [rule for rule in of_files() if "alert" in rule]


def records():
    return [rule for rule in of_files() if "record" in rule]


def children(node):
    match type(node).__name__:
        case "BinaryExpr":
            return [node.lhs, node.rhs]
        case "AggregateExpr":
            return [node.expr] + ([node.param] if node.param is not None else [])
        case "Call":
            return list(node.args)
        case "MatrixSelector":
            return [node.vector_selector]
        case "ParenExpr" | "UnaryExpr":
            return [node.expr]
        case "SubqueryExpr":
            raise ValueError(f"a subquery: {node.prettify()}")
        case _:
            return []


def walk(node):
    yield node
    for child in children(node):
        yield from walk(child)


def kind(node):
    return type(node).__name__


def selectors(node):
    return [it for it in walk(node) if kind(it) == "VectorSelector"]


def matchers(selector):
    return selector.matchers.matchers


def operator(node):
    return str(node.op)


def is_comparison(node):
    return kind(node) == "BinaryExpr" and operator(node) in COMPARISONS


def bare(node):
    while kind(node) == "ParenExpr":
        node = node.expr
    return node


class Labels:
    """Which labels the result of an expression has for certain, given those of the families on the pages."""

    def __init__(self, families):
        self.families = dict(families)
        for name in OF_PROMETHEUS:
            self.families[name] = TARGET_LABELS
        pending = records()
        while pending:
            later = [rule for rule in pending if not self._record(rule)]
            assert len(later) < len(pending), f"no page has what these read: {[rule['record'] for rule in later]}"
            pending = later

    def _record(self, rule):
        expression = parse(rule["expr"])
        if any(selector.name not in self.families for selector in selectors(expression)):
            return False
        labels = self.of(expression) | set(rule.get("labels", {}))
        name = rule["record"]
        self.families[name] = self.families[name] & labels if name in self.families else frozenset(labels)
        return True

    def of(self, node):
        """None for a scalar."""
        node = bare(node)
        match kind(node):
            case "VectorSelector":
                return frozenset(self.families[node.name])
            case "MatrixSelector":
                return self.of(node.vector_selector)
            case "NumberLiteral" | "StringLiteral":
                return None
            case "UnaryExpr":
                return self.of(node.expr)
            case "Call":
                if node.func.name in ("time", "scalar"):
                    return None
                if node.func.name in ("vector", "absent"):
                    return frozenset()
                return next(labels for labels in map(self.of, node.args) if labels is not None)
            case "AggregateExpr":
                inner = self.of(node.expr)
                if node.modifier is None:
                    return frozenset()
                named = set(node.modifier.labels)
                return inner - named if "Without" in str(node.modifier.type) else inner & named
            case "BinaryExpr":
                return self._binary(node)
        raise ValueError(kind(node))

    def _binary(self, node):
        left, right = self.of(node.lhs), self.of(node.rhs)
        if left is None or right is None:
            return left if right is None else right
        if operator(node) in ("and", "unless"):
            return left
        if operator(node) == "or":
            return left & right
        matching = node.modifier.matching if node.modifier else None
        card = str(node.modifier.card) if node.modifier else "OneToOne"
        if card.endswith("ManyToOne"):
            return left | set(node.modifier.group_labels or ())
        if card.endswith("OneToMany"):
            return right
        if matching is None:
            return left
        named = set(matching.labels)
        return left & named if str(matching).startswith("on") else left - named


def templated(text):
    """Labels that a text asks for."""
    return set(re.findall(r"\$labels\.(\w+)", text))
