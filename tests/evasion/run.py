"""Runs the corpus in lanes side by side; see tests/evasion.sh, which starts the world for it."""

import argparse
import collections
import os
import queue
import sys
import threading
import time

import cases
import judge
from lane import Lane, Trouble

here = os.path.dirname(os.path.abspath(__file__))


def arguments():
    a = argparse.ArgumentParser(prog="evasion.sh", add_help=False)
    a.add_argument("--lane", action="append", required=True,
                   help="server port:proxy with the table policy:proxy with the column policy")
    a.add_argument("--only")
    a.add_argument("--class", dest="category")
    a.add_argument("--level")
    a.add_argument("--benign", action="store_true")
    a.add_argument("--clients", action="store_true")
    a.add_argument("--extended", action="store_true")
    a.add_argument("--prove", action="store_true")
    a.add_argument("--prune", action="store_true")
    a.add_argument("--results", required=True)
    return a.parse_args()


def chosen(everything, a):
    """The cases that the options name; all options must agree."""
    wanted = set(a.only.split(",")) if a.only else None
    if wanted and wanted - {c["id"] for c in everything}:
        raise cases.BadFile("no such case: " + ", ".join(
            sorted(wanted - {c["id"] for c in everything})))
    return [c for c in everything
            if (wanted is None or c["id"] in wanted)
            and (a.category is None or c["category"] == a.category)
            and (a.level is None or c.get("level") == a.level)
            and (not a.benign or c["must"] == "allow")
            and (not a.clients or c["file"] == cases.client_file)]


class Runner:
    """Lanes take cases from one queue; outcomes are kept by (case, way)."""

    def __init__(self, lanes, ways, judgement):
        self.lanes = lanes
        self.ways = ways
        self.judgement = judgement
        self.outcomes = {}
        self.seconds = {}
        self.queue = queue.SimpleQueue()
        self.broken = []

    def run(self, selection):
        for case in selection:
            self.queue.put(case)
        threads = [threading.Thread(target=self._work, args=(lane,)) for lane in self.lanes]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return self.outcomes

    def _work(self, ports):
        try:
            lane = Lane(*ports)
            while True:
                case = self.queue.get_nowait()
                for way in self.ways:
                    begun = time.monotonic()
                    try:
                        outcome = self.judgement(lane, case, way == "extended")
                    except Trouble as e:
                        outcome = "FAIL", f"not set up: {e}"
                    self.outcomes[case["id"], way] = outcome
                    self.seconds[case["id"], way] = time.monotonic() - begun
        except queue.Empty:
            pass
        except Exception as e:  # a lane that breaks ends the run, and says where
            self.broken.append(f"{case['id'] if 'case' in locals() else 'start'}:"
                               f" {type(e).__name__}: {e}")
            raise


def verdict_of(outcomes, case, ways):
    """The worst of all ways, and why."""
    for way in ways:
        verdict, why = outcomes[case["id"], way]
        if verdict == "FAIL":
            return "FAIL", why if way == "simple" else f"{way}: {why}"
    return outcomes[case["id"], ways[0]]


def report(selection, outcomes, ways, open_cases):
    """Prints what is not as it must be and the figures → the number of faults."""
    faults = 0
    figures = collections.Counter()
    for case in selection:
        verdict, why = verdict_of(outcomes, case, ways)
        passes = verdict != "FAIL"
        figures[case["file"], "all"] += 1
        if not passes and case.get("soft"):  # may be held, says the corpus
            print(f"{case['id']} [{case['category']}] is held, as it may be: {case['why'][:80]}")
            figures[case["file"], "soft"] += 1
            passes = True
        figures[case["file"], "pass"] += verdict != "FAIL"
        listed = case["id"] in open_cases
        if passes and listed:
            print(f"{case['id']} [{case['category']}] passes and stands in open.txt:"
                  " take it out of the list")
        elif not passes and not listed:
            print(f"{case['id']} [{case['category']}] FAILS: {case['why'][:80]}: {why[:400]}")
        faults += passes == listed
    for name in (*cases.evasion_files, *cases.harmless_files, cases.client_file):
        if figures[name, "all"]:
            word = "held" if name in cases.evasion_files else "pass"
            soft = figures[name, "soft"]
            print(f"{name}: {figures[name, 'pass']} of {figures[name, 'all']} {word}"
                  + (f", {soft} may be held" if soft else ""))
    return faults


def write_results(path, runner, selection, open_cases):
    """One line per case and way, its fields behind tabs."""
    with open(path, "w", encoding="utf-8") as f:
        for case in selection:
            for way in runner.ways:
                verdict, why = runner.outcomes[case["id"], way]
                print(case["id"], way, verdict, "open" if case["id"] in open_cases else "-",
                      case["category"], case.get("level", "-"),
                      f"{runner.seconds[case['id'], way]:.2f}s", why.replace("\n", " "),
                      sep="\t", file=f)


def main():
    a = arguments()
    open_file = os.path.join(here, "open.txt")
    try:
        everything = cases.all_cases()
        open_cases = cases.known_open(open_file, {c["id"] for c in everything})
        selection = chosen(everything, a)
    except cases.BadFile as e:
        sys.exit(f"evasion.sh: {e}")
    ports = []
    for text in a.lane:
        server, table, column = (int(p) for p in text.split(":"))
        ports.append((server, {"table": table, "column": column}))
    ways = ["simple", "extended"] if a.extended else ["simple"]
    judgement = judge.judge
    if a.prove:
        import prove
        judgement, ways, open_cases = prove.prove, ["simple"], {}
    begun = time.monotonic()
    runner = Runner(ports, ways, judgement)
    outcomes = runner.run(selection)
    if runner.broken:
        sys.exit("evasion.sh: " + "; ".join(runner.broken))
    write_results(a.results, runner, selection, open_cases)
    faults = report(selection, outcomes, ways, open_cases)
    if a.prune and not a.prove:
        cases.prune(open_file, {c["id"] for c in selection
                                if verdict_of(outcomes, c, ways)[0] != "FAIL" or c.get("soft")})
    held = [c for c in selection if c["must"] == "hold"]
    harmless = [c for c in selection if c["must"] == "allow"]
    good = {c["id"] for c in selection if verdict_of(outcomes, c, ways)[0] != "FAIL"}
    word = "proven" if a.prove else "held"
    print(f"evasion: {sum(c['id'] in good for c in held)} of {len(held)} {word},"
          f" {sum(c['id'] in good for c in harmless)} of {len(harmless)} harmless pass,"
          f" {sum(c['id'] in open_cases for c in selection)} known to be open,"
          f" {faults} faults, {time.monotonic() - begun:.0f} s")
    sys.exit(1 if faults or not selection else 0)


if __name__ == "__main__":
    main()
