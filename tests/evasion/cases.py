"""The files of cases, and the list of those known to be open."""

import json
import os

data = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", "evasion")
evasion_files = ("evasion.jsonl", "own.jsonl")
harmless_files = ("benign.jsonl", "own_benign.jsonl")
client_file = "clients"


class BadFile(Exception):
    """A file of cases or the list of open ones is not as it must be."""


def load(name):
    """One case a line; defaults filled in. A file that is not there has none."""
    path = os.path.join(data, name)
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        found = [json.loads(line) for line in f if line.strip()]
    for case in found:
        case.setdefault("policy", "table")
        case.setdefault("category", "other")
        case["file"] = name
    return found


def clients():
    """What clients ask the catalog: one session per file and policy, its texts behind `-- next`."""
    found = []
    for name in sorted(os.listdir(os.path.join(data, "clients"))):
        with open(os.path.join(data, "clients", name), encoding="utf-8") as f:
            texts = f.read().split("\n-- next\n")[1:]
        for policy in ("table", "column"):
            found.append({
                "id": f"{name.removesuffix('.sql')}-{policy}", "category": "client",
                "file": client_file, "policy": policy, "session": texts, "must": "allow",
                "why": f"data/evasion/clients/{name}", "proof_kind": "benign", "noisy": True,
                "recover": True})
    return found


def all_cases():
    found = [c for name in evasion_files + harmless_files for c in load(name)] + clients()
    seen = set()
    for case in found:
        if case["id"] in seen:
            raise BadFile(f"{case['id']} stands in the files twice")
        seen.add(case["id"])
    return found


def known_open(path, known_ids):
    """id → reason. Lines are `ID  reason`; a hash begins a comment."""
    found = {}
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            name, _, reason = line.partition(" ")
            where = f"{os.path.basename(path)}:{number}: {name}"
            if not reason.strip():
                raise BadFile(f"{where} has no reason")
            if name in found:
                raise BadFile(f"{where} stands here twice")
            if name not in known_ids:
                raise BadFile(f"{where} is no case")
            found[name] = reason.strip()
    return found


def prune(path, passing):
    """Takes the lines of cases that pass out of the list."""
    with open(path, encoding="utf-8") as f:
        lines = f.readlines()
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(line for line in lines if line.split(" ", 1)[0].strip() not in passing)
