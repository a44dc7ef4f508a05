"""The build on books of one page: a failed cell fails it, twice; stale outputs never stay."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = """---
file_format: mystnb
kernelspec:
  name: python3
---
# A page

```{code-cell} python
%s
```
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book of one page without cells worth naming; `write_cell` gives it one."""
    (tmp_path / "_config.yml").write_text((ROOT / "_config.yml").read_text())
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "course.css").write_text("")
    return tmp_path


def write_cell(book: Path, code: str) -> None:
    (book / "index.md").write_text(PAGE % code)


def build(book: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools" / "build_book.py", "--source", book, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_failed_cell_fails_the_build_every_time_and_is_named(book: Path) -> None:
    write_cell(book, "raise ValueError('the cell is broken')")
    for attempt in ("first", "second"):
        done = build(book)
        assert done.returncode != 0, f"the {attempt} build passed: {done.stdout}"
        assert "the cell is broken" in done.stderr
        assert "index.md" in done.stderr


def test_a_mended_cell_builds_and_an_unchanged_book_is_left_alone(book: Path) -> None:
    write_cell(book, "raise ValueError('the cell is broken')")
    assert build(book).returncode != 0
    write_cell(book, "print('mended' + ' output')")
    done = build(book)
    assert done.returncode == 0, done.stderr
    page = book / "_build" / "html" / "index.html"
    assert "mended output" in page.read_text()
    before = page.stat().st_mtime_ns
    assert "up to date" in build(book).stdout
    assert page.stat().st_mtime_ns == before


def test_outputs_made_on_another_runtime_are_made_again(book: Path) -> None:
    counter = book / "runs"
    write_cell(book, f"print('ran', file=open({str(counter)!r}, 'a'))")
    assert build(book).returncode == 0
    note = book / "_build" / ".jupyter_cache" / "runtime"
    note.write_text("another runtime")
    (book / "_build" / "inputs").unlink()
    assert build(book).returncode == 0
    assert counter.read_text() == "ran\nran\n"
