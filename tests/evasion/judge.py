"""Did the proxy do right by a case?"""

import json
import re

from session import Session

many_commands = "cannot insert multiple commands"


def refused(error):
    """An error of the proxy's own: a hold that does not wait, a denial, a refusal at the door
    (where the server itself lets every case in)."""
    if error.get("M", "").startswith("login: "):
        return error["C"] in ("42501", "08P01") or error["C"].startswith("SP")
    return error.get("C", "").startswith("SP") or "policy=" in error.get("D", "")


def secret_in(result, secrets):
    """The first secret visible in a result, plain or in hexadecimal."""
    size = sum(len(c) for c in result.copy)
    if size > 2_000_000:
        blob = b"".join(result.copy)
        return next((s for s in secrets if s.encode() in blob), None)
    text = result.text()
    lower = text.lower()
    packed = re.sub(r"\s+", "", lower)
    for s in secrets:
        if s.isdigit():
            if re.search(rf"(?<!\d){s}(?!\d)", text):
                return s
        elif s.lower() in lower or s.encode().hex() in packed:
            return s
    return None


def secrets_to_look_for(lane, case):
    """Protected values that the session does not contain itself; bare numbers only of payroll."""
    own = json.dumps([case["session"], case.get("startup", "")], ensure_ascii=False)
    payroll = any("finance" in t for t in case.get("touches", ()))
    found = [s for s in lane.secrets(case["policy"])
             if s not in own and (payroll or not s.isdigit())]
    return sorted(found, key=lambda s: (s.isdigit(), s))


def told(results):
    """What the client was told, in short."""
    return " || ".join(r.text()[:160].replace("\n", "; ") for r in results)


def judge(lane, case, extended=False):
    """→ (verdict, why): verdict is pass, FAIL or skip (it says nothing in this protocol)."""
    lane.fresh_database(case.get("variant", "a"))
    try:
        if case["must"] == "hold":
            return judge_evasion(lane, case, extended)
        return judge_harmless(lane, case, extended)
    finally:
        lane.clean_up(case)


def judge_evasion(lane, case, extended):
    """Held or refused up to the step where it worked on the bare server, and it did not work."""
    kind = case["proof_kind"]
    lane.set_up(case)
    if kind == "check" and lane.check(case["check"]):
        lane.fresh_database(anew=True)
        lane.set_up(case)
    before = {"change": lane.content, "ddl": lane.fingerprint}.get(kind, lambda: None)
    state = before()
    written = lane.written()
    secrets = secrets_to_look_for(lane, case)

    results = Session(lane, case, lane.proxy_ports[case["policy"]], extended).play()

    held = [i for i, r in enumerate(results) if any(refused(e) for e in r.errors)]
    leaks = [(i, s) for i, s in enumerate(secret_in(r, secrets) for r in results) if s]
    # Behind a refused Execute the server reads nothing until a Sync, and a case may send none.
    hung = [i for i, r in enumerate(results) if r.hung and i not in held]
    if hung:
        return "FAIL", f"no answer at step {hung[0]}"
    if leaks and (kind == "marker" or not held or leaks[0][0] <= held[0]):
        return "FAIL", f"{leaks[0][1]!r} came back at step {leaks[0][0]}, held at {held}"
    if not held or held[0] > case["latest"]:
        if extended and many_commands in told(results):
            return "skip", "several commands in a text"
        return "FAIL", f"held at {held}: {told(results)}"
    if kind == "check" and lane.check(case["check"]):
        return "FAIL", f"held at {held}, and still: {case['check']}"
    if state is not None and lane.written() != written and before() != state:
        return "FAIL", f"held at {held}, and the protected tables changed"
    return "pass", f"held at {held}"


def judge_client(case, results, extended):
    """Every text of a client must run; those refused are counted."""
    faults = []
    for text, r in zip(case["session"], results):
        if extended and any(many_commands in e.get("M", "") for e in r.errors):
            continue
        if r.errors or r.hung:
            faults.append(f"{' '.join(text.split())[:200]}: {r.text()[:90] or 'no answer'}")
    if faults:
        return "FAIL", f"{len(faults)} of {len(results)} refused: " + " ## ".join(faults)
    return "pass", f"{len(results)} texts"


def judge_harmless(lane, case, extended):
    lane.set_up(case)
    results = Session(lane, case, lane.proxy_ports[case["policy"]], extended).play()
    if case["category"] == "client":
        return judge_client(case, results, extended)
    for i, r in enumerate(results):
        if extended and any(many_commands in e.get("M", "") for e in r.errors):
            return "skip", "several commands in a text"
        if r.errors or r.hung:
            why = " ".join(e.get("D", "") for e in r.errors)
            return "FAIL", f"step {i}: {r.text()[:300] or 'no answer'} {why}"
    return "pass", "not held"
