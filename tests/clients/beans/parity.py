"""Beans of two brokers, side by side: dumps are tab separated lines of object name, attribute, type and value.

    parity.py golden FRESH1 FRESH2 AFTER1 AFTER2    writes tests/golden/beans from two runs of Apache Kafka (see DumpBeans.java)
    parity.py figures OURS_FRESH OURS_AFTER         prints the table of docs/metrics-parity.md
"""
import pathlib
import re
import sys

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden" / "beans"
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


def reason(rows, *texts):
    """The last column of the first row whose patterns match the texts in full."""
    for *patterns, why in rows:
        if all(re.fullmatch(pattern, text) for pattern, text in zip(patterns, texts)):
            return why
    return None


class Comparison:
    """What `ours` lacks, has too much, or shows otherwise, after what the tables excuse."""

    def __init__(self, ours, names):
        absent = table("absent.tsv")
        self.names = names
        self.missing = sorted(name for name in names if name not in ours and not reason(absent, name))
        self.excused = sorted(name for name in names if name not in ours and reason(absent, name))
        self.needless = sorted({row[0] for row in absent} - {p for p, in self._used(absent, names, ours)})
        self.extra = sorted(name for name in ours if name not in names)

    @staticmethod
    def _used(absent, names, ours):
        return [(row[0],) for row in absent if any(re.fullmatch(row[0], n) for n in names if n not in ours)]


class Values:
    """The values of the workload: equal, excused by a reason, or different."""

    def __init__(self, ours):
        differs = table("workload-differs.tsv")
        self.equal, self.excused, self.different, self.types = 0, [], [], []
        for name, attribute, kind, value in table("workload-expected.tsv"):
            have = ours.get(name, {}).get(attribute)
            if have is None:
                continue
            if have[0] != kind:
                self.types.append((name, attribute, kind, have[0]))
            if equal(have[1], value):
                self.equal += 1
            elif reason(differs, name, attribute):
                self.excused.append((name, attribute, value, have[1]))
            else:
                self.different.append((name, attribute, value, have[1]))


def attributes_differ(ours):
    """Beans that both have, with other attributes."""
    theirs = {name: set(attributes.split(",")) for name, attributes in table("workload-beans.tsv")}
    both = theirs.keys() & ours.keys()
    return {name: theirs[name] ^ ours[name].keys() for name in sorted(both) if theirs[name] != ours[name].keys()}


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


def figures(fresh, after):
    names = Comparison(fresh, set((GOLDEN / "names-fresh.txt").read_text().splitlines()))
    theirs = {name: attributes.split(",") for name, attributes in table("workload-beans.tsv")}
    beans, values = Comparison(after, set(theirs)), Values(after)
    both = theirs.keys() & after.keys()
    attributes = sum(len(theirs[name]) for name in both)
    shared = sum(len(set(theirs[name]) & after[name].keys()) for name in both)
    there = lambda it: len(it.names) - len(it.missing) - len(it.excused)
    total = values.equal + len(values.excused) + len(values.different)
    return "\n".join([
        "| what | of Kafka's | here | absent by name | unexplained |",
        "|---|---:|---:|---:|---:|",
        f"| object names, fresh node | {len(names.names)} | {there(names)} | {len(names.excused)} | {len(names.missing)} |",
        f"| object names after the workload | {len(beans.names)} | {there(beans)} | {len(beans.excused)} | {len(beans.missing)} |",
        f"| attributes of the beans that both have | {attributes} | {shared} | 0 | {attributes - shared} |",
        f"| values that two runs of Kafka agree on | {total} | {values.equal} | {len(values.excused)} | {len(values.different)} |",
    ])


if __name__ == "__main__":
    if sys.argv[1] == "golden":
        golden(*sys.argv[2:])
    else:
        print(figures(*(load(open(path)) for path in sys.argv[2:])))
