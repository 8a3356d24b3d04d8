"""Proves on the server itself that a case does what it says.

Kinds of proof of an evasion:
  marker  a protected value, which the session does not contain, comes back
  diff    run twice it answers the same; with other secrets (the variant) it answers something else
  change  the content of a protected table is another one afterwards
  ddl     what the catalog says of the protected tables is another one afterwards
  output  a text comes back: `expect`
  check   a condition, false before and true afterwards: `check`
What stands before `at` must not do it alone. A harmless case runs without an error, answers the same
whatever the secrets are (unless `noisy`), changes nothing protected and scans no protected table
(unless `scan_ok`).
"""

from judge import secret_in, secrets_to_look_for, told
from session import Session


class Played:
    """One run on a fresh database of a variant: the answers, and what was before and after."""

    def __init__(self, lane, case, variant="a", steps_max=None):
        kind = case["proof_kind"]
        lane.fresh_database(variant, anew=True)
        try:
            lane.set_up(case)
            scans = lane.scans()
            state = self._state(lane, case, kind)
            self.results = Session(lane, case).play(steps_max)
            self.changed = state != self._state(lane, case, kind)
            self.was, self.state = state, self._state(lane, case, kind)
            self.scans = lane.scans() - scans if kind == "benign" else 0
        finally:
            lane.clean_up(case)
        self.texts = [r.text() for r in self.results]

    @staticmethod
    def _state(lane, case, kind):
        if case.get("dbname", "appdb") != "appdb":
            return []
        return (lane.content() if kind in ("change", "benign") else []) + \
            (lane.fingerprint() if kind in ("ddl", "benign") else []) + \
            ([str(lane.check(case["check"]))] if kind == "check" else [])

    def told(self):
        return told(self.results)


def prove(lane, case, _extended=False):
    """→ (verdict, why), as judge does."""
    if case["must"] == "allow":
        return prove_harmless(lane, case)
    run = Played(lane, case)
    if any(r.hung for r in run.results):
        return "FAIL", f"no answer: {run.told()}"
    secrets = secrets_to_look_for(lane, case)
    if case["at"] > 0:
        before = Played(lane, case, steps_max=case["at"])
        if did(case, before, secrets):
            return "FAIL", f"does it before step {case['at']}: {before.told()}"
    if case["proof_kind"] == "diff":
        return prove_difference(lane, case, run)
    where = did(case, run, secrets)
    if where is None:
        return "FAIL", f"does nothing: {run.told()}"
    if where > case["latest"]:
        return "FAIL", f"latest is {case['latest']}, and it came at {where}"
    return "pass", f"{case['proof_kind']} at step {where}"


def did(case, run, secrets):
    """The step at which it was done, None if it was not."""
    kind = case["proof_kind"]
    if kind == "marker":
        return next((i for i, r in enumerate(run.results) if secret_in(r, secrets)), None)
    if kind in ("change", "ddl"):
        return case["latest"] if run.changed else None
    if kind == "check":
        return case["latest"] if (run.was, run.state) == (["False"], ["True"]) else None
    if kind == "output":
        return next((i for i, t in enumerate(run.texts) if case["expect"] in t), None)
    return None


def prove_difference(lane, case, run):
    again = Played(lane, case)
    other = Played(lane, case, "b" if case["policy"] == "column" else "c")
    begin = case["at"]
    if run.texts[begin:] != again.texts[begin:]:
        return "FAIL", f"answers differ between two runs: {run.told()} / {again.told()}"
    if run.texts[begin:] == other.texts[begin:]:
        return "FAIL", f"answers the same whatever the secrets are: {run.told()}"
    return "pass", f"other secrets: {other.told()}"


def prove_harmless(lane, case):
    run = Played(lane, case)
    for i, r in enumerate(run.results):
        if r.errors or r.hung:
            return "FAIL", f"step {i}: {case['session'][i]}: {r.text()[:300]}"
    if run.changed:
        return "FAIL", f"changes: {sorted(set(run.was) ^ set(run.state))[:3]}"
    if run.scans and not case.get("scan_ok"):
        return "FAIL", f"scans a protected table {run.scans} times"
    if not case.get("noisy"):
        other = Played(lane, case, "b" if case["policy"] == "column" else "c")
        if run.texts != other.texts:
            return "FAIL", f"depends on secrets: {run.told()} / {other.told()}"
    return "pass", "harmless"
