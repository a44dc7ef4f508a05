"""The built site, as its readers get it: complete, readable without colour or network, stamped."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(re.findall(r"file: (\S+)", (ROOT / "_toc.yml").read_text()))
RUNNING = [page for page in PAGES if "{code-cell}" in (ROOT / f"{page}.md").read_text()]


class Tags(HTMLParser):
    """Collects every tag's attributes, by tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


@pytest.fixture(scope="session")
def site() -> Path:
    """The site, built anew only if something it is made of has changed."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "build_book.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "_build" / "html"


def test_every_page_of_the_table_of_contents_is_built(site: Path) -> None:
    assert [page for page in PAGES if not (site / f"{page}.html").exists()] == []


@pytest.mark.parametrize("page", RUNNING)
def test_a_page_that_runs_cells_says_on_what(site: Path, page: str) -> None:
    html = (site / f"{page}.html").read_text()
    assert re.search(r"embedded · Kubernetes v1\.\d+\S* · \d+ nodes? · \d{4}-\d\d-\d\d", html)


@pytest.mark.parametrize("page", ["index", *PAGES])
def test_a_page_needs_no_other_host(site: Path, page: str) -> None:
    tags = Tags((site / f"{page}.html").read_text()).found
    loaded = [
        address
        for tag, attributes in tags
        if tag in {"script", "img", "iframe"} or attributes.get("rel") in {"stylesheet", "preload"}
        if (address := attributes.get("src") or attributes.get("href"))
    ]
    assert [address for address in loaded if re.match(r"(https?:)?//", address)] == []


@pytest.mark.parametrize("page", ["index", *PAGES])
def test_every_picture_has_words(site: Path, page: str) -> None:
    tags = Tags((site / f"{page}.html").read_text()).found
    content = [a for tag, a in tags if tag == "img" and "logo" not in a.get("class", "")]
    assert [a["src"] for a in content if len(a.get("alt", "")) < 20] == []


def test_every_lab_and_chapter_is_in_the_table_of_contents() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = set(re.findall(r"'file': '([^']+)'", str(toc)))
    present = {
        str(path.relative_to(ROOT).with_suffix(""))
        for folder in ("chapters", "labs", "appendix")
        for path in (ROOT / folder).rglob("*.md")
    }
    assert present == listed
