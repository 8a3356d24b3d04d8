"""Compares what a suite printed directly and through Sallyport, check by check.

usage: compare.py PREFIX DIRECT_PORT THROUGH_PORT, for PREFIX.direct.txt and PREFIX.through.txt.
A transcript is a list of checks: a line `check NAME`, what the client showed, and `pass` or `FAIL …`;
its last line is `end`. Prints `PASSED FAILED BASELINE`; differences go to the standard error.
"""

import difflib
import re
import sys

LINES_MAX = 14  # of one difference
END = "\n"  # no check has this name


def read(path):
    with open(path, encoding="utf-8", errors="backslashreplace") as f:
        return f.read()


def checks_of(text, port):
    """A map from each check's name to its lines; END is in it if the program got there."""
    text = re.sub(rf"(?<!\d){port}(?!\d)", "PORT", text)
    text = re.sub(r"pg_temp_\d+", "pg_temp_N", text)  # whichever is free
    checks, lines = {}, None
    for line in text.split("\n"):
        if line.startswith("check "):
            name = line[6:]
            while name in checks:
                name += "+"
            lines = checks[name] = []
        elif line == "end":
            checks[END] = []
            lines = None
        elif lines is not None:
            lines.append(line)
    return checks


def verdict(lines):
    return next((line for line in reversed(lines) if line), "")


def main():
    prefix, direct_port, through_port = sys.argv[1:]
    direct = checks_of(read(prefix + ".direct.txt"), direct_port)
    through = checks_of(read(prefix + ".through.txt"), through_port)
    good = bad = baseline = 0
    for name, lines in direct.items():
        if name == END:
            continue
        if verdict(lines) != "pass":
            # Neither way counts: the client, or what is asked of it, does not work here.
            print(f"--- {name}: fails directly: {verdict(lines)}", file=sys.stderr)
            continue
        baseline += 1
        other = through.get(name)
        if other == lines:
            good += 1
            continue
        bad += 1
        print(f"--- {name}: not the same through Sallyport", file=sys.stderr)
        shown = difflib.unified_diff(lines, other or ["(nothing)"], "direct", "through", "", "", 1)
        for line in list(shown)[2 : 2 + LINES_MAX]:
            print("    " + line[:400], file=sys.stderr)
    for way, checks in (("direct", direct), ("through", through)):
        if END not in checks:
            bad += 1
            print(f"--- the {way} run did not get to its end; its last words:", file=sys.stderr)
            for line in read(f"{prefix}.{way}.log").split("\n")[-LINES_MAX:]:
                print("    " + line[:400], file=sys.stderr)
    print(good, bad, baseline)


main()
