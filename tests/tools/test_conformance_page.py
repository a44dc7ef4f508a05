"""The page of what each engine does is made of the recorded runs, and lists every test."""

import ast
import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location(
    "conformance_page", ROOT / "tools" / "conformance_page.py"
)
conformance_page = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(conformance_page)


def test_the_page_is_what_the_records_say():
    made = conformance_page.page(conformance_page.load())
    assert conformance_page.PAGE.read_text() == made, "run: python tools/conformance_page.py"


def test_every_behaviour_has_been_recorded():
    recorded = {
        identity.partition("[")[0] for identity in conformance_page.load()["embedded"]["behaviours"]
    }
    written = {
        f"{file.name}::{node.name}"
        for file in (ROOT / "tests" / "conformance").glob("test_*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert written - recorded == set(), "run: make conformance"
    assert recorded - written == set(), "run: make conformance"


def test_nothing_that_was_recorded_failed():
    for engine, record in conformance_page.load().items():
        failed = [
            name for name, each in record["behaviours"].items() if each["outcome"] == "failed"
        ]
        assert failed == [], engine


def test_names_read_as_sentences():
    assert conformance_page.sentence("test_a_name_is_taken_once[x]") == "A name is taken once"
    assert conformance_page.sentence("test_dns_answers") == "DNS answers"
