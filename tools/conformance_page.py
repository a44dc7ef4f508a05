"""Writes appendix/conformance.md: behaviour by behaviour, what each engine did.

The outcomes come from runs of tests/conformance on each engine, kept in
tests/conformance/results/ENGINE.json by `make conformance`; the page is never edited by hand.
"""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "tests" / "conformance" / "results"
PAGE = ROOT / "appendix" / "conformance.md"
ENGINES = ("embedded", "kind")
INTRODUCTION = """# What each engine does

Every line below is a test: one body, run on the embedded cluster and on a real one, through the
official client or `kubectl`. A line that says *since* is of a release newer than that cluster: the
test names the release and the source that it follows, and was seen on the other engine only. This
page is made from recorded runs by `tools/conformance_page.py`; `make conformance` records anew.

{summary}
"""
WORDS = {"passed": "yes", "failed": "**no**", "skipped": "not asked"}
SPELLED = {"api": "API", "dns": "DNS", "http": "HTTP", "json": "JSON", "yaml": "YAML", "cpu": "CPU"}

Behaviours = dict[str, dict[str, Any]]


def sentence(test: str) -> str:
    """Returns a test's name as a sentence: test_a_name_is_taken_once, A name is taken once."""
    name = test.partition("[")[0].removeprefix("test_").replace("_", " ")
    words = [SPELLED.get(word, word) for word in name.split()]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def title(file: str) -> str:
    """Returns a file's topic: test_persistentvolumes.py, Persistentvolumes."""
    return file.removesuffix(".py").removeprefix("test_").replace("_", " ").capitalize()


def grouped(behaviours: Behaviours) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Returns the outcomes by file and sentence; the cases of one test are one behaviour."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for identity, outcome in behaviours.items():
        file, _, test = identity.partition("::")
        found[file][sentence(test)].append(outcome)
    return found


def told(outcomes: list[dict[str, Any]]) -> str:
    """Returns what one engine did, of all cases of a behaviour."""
    if not outcomes:
        return "not asked"
    kinds = {each["outcome"] for each in outcomes}
    worst = next(kind for kind in ("failed", "passed", "skipped") if kind in kinds)
    since = outcomes[0].get("since")
    if worst == "skipped" and since:
        return f"since {since[0]}"
    return WORDS[worst]


def source(outcomes: list[dict[str, Any]]) -> str:
    """Returns where a newer behaviour is specified."""
    since = next((each["since"] for each in outcomes if each.get("since")), None)
    return re.sub(r"[|<>]", " ", since[1]) if since else ""


def page(records: dict[str, dict[str, Any]]) -> str:
    """Returns the page for the records of the engines."""
    sorted_in = {engine: grouped(record["behaviours"]) for engine, record in records.items()}
    first = sorted_in[ENGINES[0]]
    heads = [f"{engine} ({records[engine]['version']})" for engine in records]
    parts = [INTRODUCTION.format(summary=summary(records))]
    for file in sorted(first):
        parts.append(f"## {title(file)}\n")
        parts.append(f"| behaviour | {' | '.join(heads)} | source, where newer |")
        parts.append("|---" * (len(heads) + 2) + "|")
        for behaviour, outcomes in first[file].items():
            cells = [told(found[file].get(behaviour, [])) for found in sorted_in.values()]
            parts.append(f"| {behaviour} | {' | '.join(cells)} | {source(outcomes)} |")
        parts.append("")
    return "\n".join(parts)


def summary(records: dict[str, dict[str, Any]]) -> str:
    """Returns how many tests each engine passed."""
    lines = [
        "| engine | version | tests passed | newer than it | failed |",
        "|---|---|---|---|---|",
    ]
    for engine, record in records.items():
        outcomes = [each["outcome"] for each in record["behaviours"].values()]
        counts = [str(outcomes.count(word)) for word in ("passed", "skipped", "failed")]
        lines.append(f"| {engine} | {record['version']} | {' | '.join(counts)} |")
    return "\n".join(lines)


def load() -> dict[str, dict[str, Any]]:
    """Returns the recorded runs by engine."""
    return {
        engine: json.loads((RESULTS / f"{engine}.json").read_text())
        for engine in ENGINES
        if (RESULTS / f"{engine}.json").exists()
    }


if __name__ == "__main__":
    PAGE.write_text(page(load()))
    print(f"conformance: wrote {PAGE.relative_to(ROOT)}")
