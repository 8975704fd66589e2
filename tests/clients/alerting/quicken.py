"""Divides every duration of the shipped Prometheus and Alertmanager configuration, so that a rehearsal takes
seconds where operation takes minutes. Nothing else changes.

    python alerting/quicken.py FACTOR TARGET     writes prometheus.yml, alertmanager.yml and rules/ to TARGET

Divided are: intervals, `for`, `keep_firing_for`, ranges, offsets, and the numbers that seconds or milliseconds are
compared with (`x_seconds > 300`, `predict_linear(..., 14400)`)."""
import datetime
import pathlib
import re
import sys

import promql_parser as promql
import yaml

try:
    from alerting import rules
except ImportError:
    import rules

INTERVALS = {
    "scrape_interval", "evaluation_interval", "interval", "for", "keep_firing_for",
    "group_wait", "group_interval", "repeat_interval",
}
# What comes out of these is a number of something else, whatever went in.
COUNTING = {"changes", "resets", "absent", "rate", "increase", "deriv", "count_over_time"}


def shorter(duration, factor):
    return f"{round(rules.seconds(duration) * 1000 / factor)}ms"


def plain(value, factor):
    """A parsed YAML document with its durations divided."""
    if isinstance(value, list):
        return [plain(item, factor) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: shorter(item, factor) if key in INTERVALS
        # A busy machine needs all of the interval.
        else shorter(value["scrape_interval"], factor) if key == "scrape_timeout"
        else expression(item, factor) if key == "expr"
        else plain(item, factor)
        for key, item in value.items()
    }


def expression(text, factor):
    return promql.transform(promql.parse(text), post_visit=lambda node: _divided(node, factor)).prettify()


def _divided(node, factor):
    match rules.kind(node):
        case "VectorSelector" if node.offset:
            return promql.parse(f"{_without_offset(node)} offset {_text(node.offset, factor)}")
        case "MatrixSelector":
            selector = node.vector_selector
            # Visited before, so divided already.
            offset = f" offset {_text(selector.offset, 1)}" if selector.offset else ""
            return promql.parse(f"{_without_offset(selector)}[{_text(node.range, factor)}]{offset}")
        case "Call" if node.func.name == "predict_linear":
            return promql.parse(f"predict_linear({node.args[0].prettify()}, {node.args[1].val / factor})")
        case "BinaryExpr" if rules.is_comparison(node) and rules.kind(node.rhs) == "NumberLiteral" and _is_time(node.lhs):
            return promql.parse(f"{node.lhs.prettify()} {rules.operator(node)} {node.rhs.val / factor}")
    return None


def _without_offset(selector):
    return re.sub(r" offset \S+$", "", selector.prettify())


def _text(duration: datetime.timedelta, factor):
    return f"{round(duration.total_seconds() * 1000 / factor)}ms"


def _is_time(node):
    """Whether a value is seconds or milliseconds."""
    node = rules.bare(node)
    match rules.kind(node):
        case "VectorSelector":
            return re.search(r"_(seconds|ms)(_max)?(:max)?$", node.name) is not None
        case "MatrixSelector":
            return _is_time(node.vector_selector)
        case "Call":
            return node.func.name == "time" or node.func.name not in COUNTING and any(map(_is_time, node.args))
        case "AggregateExpr":
            return str(node.op) != "count" and _is_time(node.expr)
        case "BinaryExpr":
            return rules.operator(node) in ("+", "-", "or", "and", "unless") and _is_time(node.lhs)
    return False


def configuration(factor, target):
    """Writes everything to the folder `target`, which exists."""
    target = pathlib.Path(target)
    (target / "rules").mkdir()
    for file in [rules.HOME / "prometheus.yml", rules.HOME / "alertmanager.yml", *rules.FILES]:
        document = plain(yaml.safe_load(file.read_text()), factor)
        (target / file.relative_to(rules.HOME)).write_text(yaml.safe_dump(document, sort_keys=False, width=1000))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    configuration(float(sys.argv[1]), sys.argv[2])
