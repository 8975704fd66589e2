#!/usr/bin/env python3
"""Writes ../flags.tsv: the flags of Kafka's own tools, as their help tells them.

usage: flags.py LIBS     LIBS: folder of Kafka's jars (tests/clients/kafka/kafka fetch)
"""
import pathlib
import re
import subprocess
import sys

from capture import CLASSES, HERE

COMMANDS = {
    "cluster": ["cluster-id", "unregister", "list-endpoints"],
    "features": ["describe", "upgrade", "downgrade", "disable", "version-mapping", "feature-dependencies"],
    "metadata-quorum": ["describe", "add-controller", "remove-controller"],
    "storage": ["info", "format", "version-mapping", "feature-dependencies", "random-uuid"],
}


def helps(libs):
    """Tool and text of each help; each in a process of its own, which the help ends."""
    for tool, main_class in CLASSES.items():
        for words in [["--help"]] + [[name, "--help"] for name in COMMANDS.get(tool, [])]:
            command = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{libs}/*", main_class, *words]
            ran = subprocess.run(command, capture_output=True, text=True)
            yield tool, ran.stdout + ran.stderr


def flags(text):
    """Flags and whether they take a value: no, yes or maybe."""
    if "usage: " in text:
        for line in text.split("arguments:", 1)[-1].splitlines():
            for name, rest in re.findall(r"(--[\w.-]+)((?: [A-Z][\w=-]*)?)(?=,|\s|$)", line) if re.match(r"  -", line) else []:
                yield name, "yes" if rest else "no"
        return
    # A name that leaves no room has its value on the line below.
    text = re.sub(r"^(--[\w.-]+)\s*(\n +)?  (?=[<\[])", r"\1 ", text, flags=re.M)
    for line in text.splitlines():
        found = re.match(r"(?:\* )?(?:-\w, )?(--[\w.-]+)( <| \[|\s|$)", line)
        if found and not line.startswith("---"):
            yield found[1], {" <": "yes", " [": "maybe"}.get(found[2], "no")


rows = {(tool, name[2:], takes) for tool, text in helps(sys.argv[1]) for name, takes in flags(text)}
lines = ["\t".join(row) + "\n" for row in sorted(rows)]
pathlib.Path(HERE.parent / "flags.tsv").write_text("tool\tflag\tvalue\n" + "".join(lines))
