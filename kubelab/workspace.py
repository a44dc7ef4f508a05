"""The learner's own directory: copies of the labs, answers, progress.

- `labs/<chapter>/<lab>.ipynb`: made from the course's labs, never overwritten
- `answers/<chapter>/<exercise>.yaml` (or `.py`): what `pytest tests/grading --answers` grades
- `history/<chapter>/<exercise>/0001.yaml` …: earlier answers
- `progress.json`: the last result of each exercise, and how many of its hints were read

Every file is replaced in one step, so that a crash leaves the old one or the new one.
"""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from kubelab import course
from kubelab.course import SUFFIXES, Course, CourseError
from kubelab.grading.verdict import Verdict


class Workspace:
    """A learner's directory. Nothing is made before there is something to write."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers = root / "answers"
        self._progress = root / "progress.json"
        self._copied = root / "labs" / ".copied.json"

    def save_answer(self, exercise: str, text: str, suffix: str) -> Path:
        """Save an answer and return its path; a different one that was there goes to history/."""
        path = self.answers / f"{exercise}{suffix}"
        if path.exists() and path.read_bytes() == text.encode():
            return path
        for existing in (self.answers / f"{exercise}{one}" for one in SUFFIXES.values()):
            if existing.exists():
                self._keep(exercise, existing)
        write(path, text)
        return path

    def _keep(self, exercise: str, path: Path) -> None:
        """Move an answer to the history, under the next number."""
        folder = self.root / "history" / exercise
        folder.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(kept.stem) for kept in folder.glob("[0-9]*")), default=0)
        path.rename(folder / f"{number:04}{path.suffix}")

    def record(self, verdict: Verdict) -> None:
        """Note a result, and of which answer it is."""
        entry = self._entry(verdict.id) | {
            "verdict": verdict.as_dict(),
            "answer": fingerprint(course.find_answer(self.answers, verdict.id)),
        }
        self._write_entry(verdict.id, entry)

    def verdict(self, exercise: str) -> tuple[Verdict | None, bool]:
        """Return the last result, and whether the answer is still the one that was graded."""
        entry = self._entry(exercise)
        if "verdict" not in entry:
            return None, False
        now = fingerprint(course.find_answer(self.answers, exercise))
        return Verdict.from_dict(entry["verdict"]), entry["answer"] == now

    def next_hint(self, exercise: str, count: int) -> int:
        """Return the number of the hint to show, from 0; after the last of `count` the first."""
        entry = self._entry(exercise)
        shown = entry.get("hints", 0) % max(count, 1)
        self._write_entry(exercise, entry | {"hints": shown + 1})
        return int(shown)

    def _entry(self, exercise: str) -> dict[str, Any]:
        entry = _read_json(self._progress).get(exercise, {})
        return entry if isinstance(entry, dict) else {}

    def _write_entry(self, exercise: str, entry: Mapping[str, Any]) -> None:
        entries = _read_json(self._progress) | {exercise: entry}
        write(self._progress, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")

    def copy_labs(self, source: Course) -> list[str]:
        """Make a notebook of each lab that has none yet; return sentences on what was done.

        A notebook that is there is left alone. Where its lab has changed since, the new version
        is put beside it, once.
        """
        copied = _read_json(self._copied)
        said = [self._copy_lab(source, lab, copied) for lab in source.labs()]
        write(self._copied, json.dumps(copied, indent=2) + "\n")
        return [sentence for sentence in said if sentence]

    def _copy_lab(self, source: Course, lab: Path, copied: dict[str, Any]) -> str:
        name = str(lab.relative_to(source.root / "labs").with_suffix(""))
        target = self.root / "labs" / f"{name}.ipynb"
        current = fingerprint(lab)
        if copied.get(name) == current and target.exists():
            return ""
        copied[name] = current
        if not target.exists():
            write(target, notebook(lab))
            return f"new: labs/{name}.ipynb"
        beside = target.with_suffix(".new.ipynb")
        write(beside, notebook(lab))
        return (
            f"labs/{name} has changed in the course: your notebook is left as it is, the new "
            f"version is labs/{name}.new.ipynb"
        )


def find() -> Workspace:
    """Return the learner's workspace: KUBELAB_WORKSPACE, else ~/kubelab-work."""
    named = os.environ.get("KUBELAB_WORKSPACE") or "~/kubelab-work"
    return Workspace(Path(named).expanduser().absolute())


def open_lab() -> NoReturn:
    """Copy the labs to the workspace and become JupyterLab there, on loopback only."""
    workspace = find()
    for sentence in workspace.copy_labs(course.find()):
        print(sentence, flush=True)
    environment = os.environ | {"KUBELAB_WORKSPACE": str(workspace.root)}
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"]
    command.append(f"--ServerApp.root_dir={workspace.root}")
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is wanted


def notebook(lab: Path) -> str:
    """Return a lab, MyST text, as the JSON of a Jupyter notebook."""
    try:
        import jupytext
    except ImportError:
        raise CourseError("The labs need JupyterLab and jupytext: run `make setup`.") from None
    return str(jupytext.writes(jupytext.read(lab), fmt="ipynb"))


def write(path: Path, text: str) -> None:
    """Replace a file's text in one step, making its directories if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(text.encode())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def fingerprint(path: Path | None) -> str:
    """Return the SHA-256 of a file's bytes; nothing for no file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""


def _read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file, or {}; a damaged file is kept under another name."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    damaged = path.with_suffix(".damaged.json")
    path.replace(damaged)
    print(f"{path.name} could not be read and was set aside as {damaged}", file=sys.stderr)
    return {}
