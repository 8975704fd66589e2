"""Beans of two brokers, side by side: dumps are tab separated lines of object name, attribute, type and value.

    parity.py golden FRESH1 FRESH2 AFTER1 AFTER2    writes tests/golden/beans from two runs of Apache Kafka (see DumpBeans.java)
    parity.py figures OURS_FRESH OURS_AFTER         prints the tables of docs/metrics-parity.md; the files are answers of /beans

What differs stands in a table of tests/golden/beans with a class and a reason. The classes:

    chance       two runs of one broker may differ: no part of the figures
    itself       tells of the program or of its process, not of the workload: no part of the figures
    design       the same work is done in another way here, on purpose
    a name of PARTS: belongs to a part that is not built

The figures that were reached stand in tests/golden/beans/figures.tsv; the tests fail below them, and UPDATE=1 writes them
and the tables of docs/metrics-parity.md.
"""
import functools
import json
import math
import pathlib
import re
import sys

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden" / "beans"
PAGE = GOLDEN.parents[2] / "docs" / "metrics-parity.md"
BEGIN, END = "<!-- figures: UPDATE=1 writes them -->\n", "<!-- end of figures -->\n"
# What Kafka has and this project has not built yet.
PARTS = {
    "transactions": "coordinator, markers, verification, their feature",
    "share groups": "coordinator, sessions, persister, their feature",
    "streams groups": "their feature",
    "tiered storage": "remote logs",
    "eligible leader replicas": "their feature",
    "several nodes": "connections between broker and controller, and within the quorum",
    "log levels at run time": "Log4j's own bean",
    "features": "those of the parts above make registrations longer",
}
FRESH, AFTER = "object names, fresh node", "object names after the workload"
ATTRIBUTES, VALUES = "attributes of these", "values that the workload determines, equal"
ABSENT, ABSENT_ATTRIBUTES, DIFFERENT = "absent beans", "absent attributes", "different values"
LESS = (ABSENT, ABSENT_ATTRIBUTES, DIFFERENT)
TYPES = {"Integer": "int", "TimeUnit": "timeunit"}
# What tells how long something took, or how often within a window: another run of the same broker differs.
TIMED = re.compile(r"(Rate|-rate|-ratio|-avg|-min|-ms|Percentile|StdDev|Mean)$|-(ns|p\d+)\b|latency|Ratio|idle")
TIMED_BEAN = re.compile(r"(Time|Rate|Age|Lag)\w*(Ms|MS|Us|ms)\b|IdlePercent|BlockedPercent|disk-|last-run-ms|AvgIdle")


def load(lines):
    """{object name: {attribute: (type, value)}}, with the data directory's name made equal."""
    beans = {}
    for line in lines:
        name, attribute, kind, value = line.rstrip("\n").split("\t")[:4]
        beans.setdefault(same(name), {})[attribute] = (TYPES.get(kind, kind.lower()), value)
    return beans


def of_json(beans):
    """The same of what /beans answers."""
    return {
        same(name): {key: (it["type"], str(it["value"])) for key, it in attributes.items()}
        for name, attributes in beans.items()
    }


def same(name):
    return re.sub(r'logDirectory="[^"]*"', 'logDirectory="DIR"', name)


def timed(name, attribute):
    return attribute not in ("Count", "EventType", "RateUnit", "LatencyUnit") and bool(
        TIMED.search(attribute) or TIMED_BEAN.search(name)
    )


def equal(ours, theirs):
    try:
        return float(ours) == float(theirs) or ours == theirs
    except ValueError:
        return ours.lower() == theirs.lower()


def table(file):
    """Rows of a golden table without comments."""
    rows = (GOLDEN / file).read_text().splitlines()
    return [row.split("\t") for row in rows if row and not row.startswith("#")]


def of_class(rows, *texts):
    """(class, reason) of the first row whose patterns match the texts in full."""
    for *patterns, kind, why in rows:
        if all(re.fullmatch(pattern, text) for pattern, text in zip(patterns, texts)):
            return kind, why
    return None, None


def counts(kind):
    """Whether what is of that class counts in the figures."""
    return kind not in ("chance", "itself")


@functools.cache
def tiers():
    """Pattern and tier of Kafka's templates."""
    found = []
    for template, tier in table("tiers.tsv"):
        parts = re.split(r"(\{[^}]*\})", template)
        found.append((re.compile("".join(map(part_of_pattern, parts))), int(tier)))
    return found


def part_of_pattern(part):
    if not part.startswith("{"):
        return re.escape(part)
    choices = part[1:-1].split("|")
    return f"(?:{'|'.join(map(re.escape, choices))})" if len(choices) > 1 else r'(?:"[^"]*"|[^,]+)'


@functools.cache
def tier_of(name):
    return next((tier for pattern, tier in tiers() if pattern.fullmatch(name)), None)


class Comparison:
    """What `ours` lacks or has too much, after what the table of absent beans excuses."""

    def __init__(self, ours, names):
        absent = {name: of_class(table("absent.tsv"), name)[0] for name in names if name not in ours}
        self.missing = sorted(name for name, kind in absent.items() if kind is None)
        self.extra = sorted(name for name in ours if name not in names)
        self.absent = {name: kind for name, kind in absent.items() if kind}
        # Without those that are here or not by chance.
        chance = [pattern for pattern, kind, _ in table("absent.tsv") if not counts(kind)]
        self.sure = [name for name in names if not any(re.fullmatch(pattern, name) for pattern in chance)]
        self.existing = [name for name in self.sure if name not in self.absent]
        self.here = [name for name in self.existing if name in ours]


class Values:
    """The values of the workload: equal, excused by a class, or different."""

    def __init__(self, ours):
        differs, absent = table("workload-differs.tsv"), table("absent.tsv")
        self.equal, self.excused, self.different, self.types = [], {}, [], []
        for name, attribute, type_, value in table("workload-expected.tsv"):
            have = ours.get(name, {}).get(attribute)
            if have is None:
                continue
            if have[0] != type_:
                self.types.append((name, attribute, type_, have[0]))
            kind, _ = of_class(differs, name, attribute)
            if not (counts(kind) and counts(of_class(absent, name)[0])):
                continue
            if equal(have[1], value):
                self.equal.append(name)
            elif kind:
                self.excused[name, attribute] = kind
            else:
                self.different.append((name, attribute, value, have[1]))


def attributes_differ(ours):
    """Beans that both have, with other attributes."""
    theirs = attributes_of_kafka()
    both = theirs.keys() & ours.keys()
    return {name: theirs[name] ^ ours[name].keys() for name in sorted(both) if theirs[name] != ours[name].keys()}


def attributes_of_kafka():
    """{object name: attributes} after the workload."""
    return {name: set(attributes.split(",")) for name, attributes in table("workload-beans.tsv")}


def golden(fresh1, fresh2, after1, after2):
    fresh = [load(open(path)) for path in (fresh1, fresh2)]
    after = [load(open(path)) for path in (after1, after2)]
    names = sorted(fresh[0].keys() & fresh[1].keys())
    (GOLDEN / "names-fresh.txt").write_text("\n".join(names) + "\n")
    both = sorted(after[0].keys() & after[1].keys())
    rows = [f"{name}\t{','.join(after[0][name])}" for name in both]
    (GOLDEN / "workload-beans.tsv").write_text("\n".join(rows) + "\n")
    rows = []
    for name in both:
        for attribute, (kind, value) in after[0][name].items():
            if not timed(name, attribute) and after[1][name].get(attribute) == (kind, value):
                rows.append(f"{name}\t{attribute}\t{kind}\t{value}")
    (GOLDEN / "workload-expected.tsv").write_text("\n".join(rows) + "\n")


def needless(ours, fresh=None):
    """Excuses that excuse nothing in these beans, those of chance apart."""
    rows = table("workload-expected.tsv")
    unlike = [(n, a) for n, a, _, value in rows if a in ours.get(n, {}) and not equal(ours[n][a][1], value)]
    names = {row[0] for row in table("workload-beans.tsv")} - ours.keys()
    if fresh is not None:
        names |= set((GOLDEN / "names-fresh.txt").read_text().splitlines()) - fresh.keys()
    used = [any(of_class([row], *it)[0] for it in unlike) for row in table("workload-differs.tsv")]
    absent = [any(of_class([row], name)[0] for name in names) for row in table("absent.tsv")]
    every = list(zip(table("workload-differs.tsv"), used)) + list(zip(table("absent.tsv"), absent))
    return [row[:-2] for row, is_used in every if not is_used and row[-2] != "chance"]


def by_tier(what, here, everything):
    """Figures {(what, tier): (here, of)} of lists of object names, one for each thing that is counted."""
    count = lambda names, tier: sum(tier_of(name) == tier for name in names)
    return {(what, f"tier {tier}"): (count(here, tier), count(everything, tier)) for tier in (1, 2, 3)}


def by_class(what, kinds):
    """Figures {(what, class): (number, number)}."""
    return {(what, kind): (list(kinds).count(kind),) * 2 for kind in sorted(set(kinds)) if counts(kind)}


def figures_of(fresh=None, after=None):
    """{(what, tier or class): (here, of what exists here)}, for the dumps that are given."""
    figures = {}
    if fresh is not None:
        names = Comparison(fresh, set((GOLDEN / "names-fresh.txt").read_text().splitlines()))
        figures |= by_tier(FRESH, names.here, names.existing)
    if after is not None:
        theirs = attributes_of_kafka()
        beans, values = Comparison(after, theirs.keys()), Values(after)
        figures |= by_tier(AFTER, beans.here, beans.existing)
        each = lambda names, of: [name for name in names for _ in of(name)]
        here = each(beans.here, lambda name: theirs[name] & after[name].keys())
        figures |= by_tier(ATTRIBUTES, here, each(beans.existing, theirs.get))
        determined = values.equal + [name for name, _ in values.excused] + [it[0] for it in values.different]
        figures |= by_tier(VALUES, values.equal, determined)
        figures |= by_class(ABSENT, beans.absent.values())
        figures |= by_class(ABSENT_ATTRIBUTES, [kind for name, kind in beans.absent.items() for _ in theirs[name]])
        figures |= by_class(DIFFERENT, values.excused.values())
    return figures


def reached():
    """The figures of tests/golden/beans/figures.tsv."""
    return {(what, of): (int(here), int(every)) for what, of, here, every in table("figures.tsv")}


def fallen(figures):
    """Figures that are worse than those that were reached before, which are new, or which are gone."""
    before = reached()
    what = {key[0] for key in figures}
    gone = {key: (None, count) for key, count in before.items() if key[0] in what and key not in figures}
    new = {key: (count, None) for key, count in figures.items() if key not in before}
    less = lambda key, here: here > before[key][0] if key[0] in LESS else here < before[key][0]
    worse = {key: (it, before[key]) for key, it in figures.items() if key in before and less(key, it[0])}
    return {**{key: it for key, it in gone.items() if key[0] not in LESS}, **new, **worse}


def publish(figures):
    """Writes figures as those that were reached, and the tables of the page."""
    what = {key[0] for key in figures}
    figures = {key: it for key, it in reached().items() if key[0] not in what} | figures
    lines = [f"{what}\t{of}\t{here}\t{every}" for (what, of), (here, every) in figures.items()]
    order = {what: at for at, what in enumerate((FRESH, AFTER, ATTRIBUTES, VALUES, *LESS))}
    lines.sort(key=lambda line: (order[line.split("\t")[0]], line))
    head = "# The figures of the comparison that were reached: here, and of what exists here. They only rise, those of what is absent"
    (GOLDEN / "figures.tsv").write_text("\n".join([head, "# or different only fall: the tests fail below.", *lines]) + "\n")
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    PAGE.write_text(before + BEGIN + tables(reached()) + END + rest.split(END)[1])


def tables(figures):
    """The tables of the page."""
    out = ["", "| what | tier 1 | tier 2 | tier 3 | all |", "|---|---:|---:|---:|---:|"]
    for what in (FRESH, AFTER, ATTRIBUTES, VALUES):
        cells = [figures[what, f"tier {tier}"] for tier in (1, 2, 3)]
        cells.append(tuple(map(sum, zip(*cells))))
        out.append(f"| {what} | " + " | ".join(f"{here} of {of}{share(here, of)}" for here, of in cells) + " |")
    out += ["", "| what is not here belongs to | beans | attributes |", "|---|---:|---:|"]
    for part, why in PARTS.items():
        count = figures.get((ABSENT, part), (0,))[0]
        if count:
            out.append(f"| {part}: {why} | {count} | {figures[ABSENT_ATTRIBUTES, part][0]} |")
    out += ["", "| values that differ | |", "|---|---:|"]
    for kind, why in (PARTS | {"design": "the same work is done in another way here, on purpose"}).items():
        count = figures.get((DIFFERENT, kind), (0,))[0]
        if count:
            out.append(f"| {kind}: {why} | {count} |")
    return "\n".join([*out, "", ""])


def share(here, of):
    # Never rounded up to what is not reached.
    return f" ({math.floor(1000 * here / of) / 10:g} %)"


if __name__ == "__main__":
    if sys.argv[1] == "golden":
        golden(*sys.argv[2:])
    else:
        fresh, after = (of_json(json.load(open(path))["beans"]) for path in sys.argv[2:])
        print(tables(figures_of(fresh, after)))
        print("needless excuses:", needless(after, fresh))
