"""The page that walks through the source: its listings exist, and fit on a screen."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "appendix" / "reading-kubernetes.md").read_text()
LISTINGS = re.findall(
    r"```\{literalinclude\} \.\./(\S+)\n:language: python\n:pyobject: (\S+)\n```", PAGE
)
LONGEST = 45  # lines


def find(tree: ast.AST, name: str) -> ast.AST | None:
    for part in name.split("."):
        found = [node for node in ast.walk(tree) if getattr(node, "name", None) == part]
        if not found:
            return None
        tree = found[0]
    return tree


def test_every_include_is_a_listing_of_one_object() -> None:
    assert len(LISTINGS) == PAGE.count("{literalinclude}") >= 10


@pytest.mark.parametrize(("file", "name"), LISTINGS, ids=[name for _, name in LISTINGS])
def test_a_listing_is_in_its_file_and_fits_on_a_screen(file: str, name: str) -> None:
    node = find(ast.parse((ROOT / file).read_text()), name)
    assert node, f"{file} has no {name}"
    assert node.end_lineno - node.lineno < LONGEST


def test_every_file_named_on_the_page_exists() -> None:
    named = re.findall(r"`(controllers/\w+\.py)`", PAGE)
    assert named
    assert [name for name in named if not (ROOT / "kubesim" / name).exists()] == []
