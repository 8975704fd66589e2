"""Beans of two brokers, side by side: dumps are tab separated lines of object name, attribute, type and value.

    parity.py golden FRESH1 FRESH2 AFTER1 AFTER2    writes tests/golden/beans from two runs of Apache Kafka (see DumpBeans.java)
    parity.py figures OURS_FRESH OURS_AFTER         prints the table of docs/metrics-parity.md; the files are answers of /beans

What chance decides has a reason that begins with `chance:` and is no part of the figures. The figures that were
reached stand in tests/golden/beans/figures.tsv; the tests fail below them.
"""
import json
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


def by_chance(why):
    return bool(why) and why.startswith("chance:")


class Comparison:
    """What `ours` lacks, has too much, or shows otherwise, after what the tables excuse."""

    def __init__(self, ours, names):
        absent = table("absent.tsv")
        self.names = names
        self.missing = sorted(name for name in names if name not in ours and not reason(absent, name))
        self.excused = sorted(name for name in names if name not in ours and reason(absent, name))
        self.extra = sorted(name for name in ours if name not in names)
        # Here and of Kafka's, without those that are here or not by chance.
        sure = [name for name in names if not by_chance(reason(absent, name))]
        self.here, self.all = sum(name in ours for name in sure), len(sure)


class Values:
    """The values of the workload: equal, excused by a reason, or different."""

    def __init__(self, ours):
        differs, absent = table("workload-differs.tsv"), table("absent.tsv")
        self.equal, self.excused, self.different, self.types = 0, [], [], []
        self.chance = 0
        for name, attribute, kind, value in table("workload-expected.tsv"):
            have = ours.get(name, {}).get(attribute)
            if have is None:
                continue
            if have[0] != kind:
                self.types.append((name, attribute, kind, have[0]))
            why = reason(differs, name, attribute)
            if by_chance(why) or by_chance(reason(absent, name)):
                self.chance += 1
            elif equal(have[1], value):
                self.equal += 1
            elif why:
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


def needless(ours, fresh=None):
    """Excuses that excuse nothing in these beans, those of chance apart."""
    rows = table("workload-expected.tsv")
    unlike = [(n, a) for n, a, _, value in rows if a in ours.get(n, {}) and not equal(ours[n][a][1], value)]
    names = {row[0] for row in table("workload-beans.tsv")} - ours.keys()
    if fresh is not None:
        names |= set((GOLDEN / "names-fresh.txt").read_text().splitlines()) - fresh.keys()
    used = [any(reason([row], *it) for it in unlike) for row in table("workload-differs.tsv")]
    absent = [any(reason([row], name) for name in names) for row in table("absent.tsv")]
    every = list(zip(table("workload-differs.tsv"), used)) + list(zip(table("absent.tsv"), absent))
    return [row[:-1] for row, is_used in every if not is_used and not by_chance(row[-1])]


def figures_of(fresh=None, after=None):
    """{what: (here, of Kafka's)}, for the dumps that are given."""
    figures = {}
    if fresh is not None:
        names = Comparison(fresh, set((GOLDEN / "names-fresh.txt").read_text().splitlines()))
        figures["object names, fresh node"] = (names.here, names.all)
    if after is not None:
        theirs = {name: attributes.split(",") for name, attributes in table("workload-beans.tsv")}
        beans, values = Comparison(after, set(theirs)), Values(after)
        figures["object names after the workload"] = (beans.here, beans.all)
        both = theirs.keys() & after.keys()
        shared = sum(len(set(theirs[name]) & after[name].keys()) for name in both)
        # Which beans both have may be chance: the share is not.
        figures["attributes missing in beans that both have"] = (sum(len(theirs[name]) for name in both) - shared, 0)
        total = values.equal + len(values.excused) + len(values.different)
        figures["values that the workload determines"] = (values.equal, total)
    return figures


def fallen(figures):
    """Figures below those that were reached before."""
    reached = {what: int(count) for what, count in table("figures.tsv")}
    worse = lambda what, count: count > reached[what] if "missing" in what else count < reached[what]
    return {what: (count, reached[what]) for what, (count, _) in figures.items() if worse(what, count)}


if __name__ == "__main__":
    if sys.argv[1] == "golden":
        golden(*sys.argv[2:])
    else:
        fresh, after = (of_json(json.load(open(path))["beans"]) for path in sys.argv[2:])
        print("| what | here | of Kafka's |\n|---|---:|---:|")
        for what, (here, all_of_them) in figures_of(fresh, after).items():
            print(f"| {what} | {here} | {all_of_them} |")
        print("needless excuses:", needless(after, fresh))
