"""The course's files: a name such as `pod/shared-volume` ties an exercise's parts together.

- `labs/<chapter>/<lab>.md` asks it, in a cell `%%exercise pod/shared-volume`
- `solutions/pod/shared-volume.yaml` (or `.py`) is the reference answer
- `tests/grading/pod/test_shared_volume.py` is the grader
- `tests/grading/pod/near_misses/shared-volume/` holds answers that must fail
"""

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CELL = re.compile(r"^```\{code-cell\}.*?\n(?P<body>.*?)^```\s*$", re.DOTALL | re.MULTILINE)
_OPTIONS = re.compile(r"\A(?:---\n.*?^---\n|(?::[\w-]+:[^\n]*\n)+)", re.DOTALL | re.MULTILINE)
_QUESTION = re.compile(r"\A\s*%%exercise +(?P<name>\S+)[^\n]*\n(?P<blank>.*)\Z", re.DOTALL)
SUFFIXES = {"yaml": ".yaml", "py": ".py"}


class CourseError(Exception):
    """The course or a part of it is not where it should be; the message says what to do."""

    def _render_traceback_(self) -> list[str]:
        """Show only the message in a notebook (IPython calls this instead of printing a stack)."""
        return [str(self)]


@dataclass(frozen=True)
class Question:
    """A lab cell that asks an exercise: where it stands, and the answer to fill in."""

    exercise: str
    lab: Path
    line: int
    blank: str


@dataclass(frozen=True)
class Course:
    """A checkout of the course."""

    root: Path

    def labs(self) -> list[Path]:
        """List the labs, by path."""
        return sorted((self.root / "labs").rglob("*.md"))

    def exercises(self) -> list[str]:
        """List the names of all exercises that have a grader."""
        graders = sorted((self.root / "tests" / "grading").glob("*/test_*.py"))
        return [exercise_name(path) for path in graders]

    def grader(self, name: str) -> Path:
        """Return the path of the exercise's grader; CourseError where there is none."""
        chapter, _, exercise = name.partition("/")
        stem = f"test_{exercise.replace('-', '_')}.py"
        path = self.root / "tests" / "grading" / chapter / stem
        if path.is_file():
            return path
        near = difflib.get_close_matches(name, self.exercises(), n=1, cutoff=0.5)
        advice = f"Did you mean {near[0]}?" if near else self._all_names()
        raise CourseError(f"There is no exercise {name!r}. {advice}")

    def _all_names(self) -> str:
        names = ", ".join(self.exercises())
        return f"The exercises are {names}." if names else f"{self.root} has no exercises."

    def solution(self, name: str) -> Path:
        """Return the path of the exercise's reference answer; CourseError where there is none."""
        self.grader(name)
        path = find_answer(self.root / "solutions", name)
        if path is None:
            raise CourseError(f"{name} has no reference answer in {self.root / 'solutions'}.")
        return path

    def near_misses(self, name: str) -> list[Path]:
        """List the answers that must fail, each with the message that its first line declares."""
        chapter, _, exercise = name.partition("/")
        folder = self.root / "tests" / "grading" / chapter / "near_misses" / exercise
        return sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES.values())

    def questions(self, name: str = "") -> list[Question]:
        """List the lab cells that ask an exercise, or all of them."""
        asked = [question for lab in self.labs() for question in _questions(lab)]
        return [question for question in asked if name in ("", question.exercise)]

    def is_blank(self, name: str, answer: str) -> bool:
        """Tell whether an answer is empty, or the blank as the lab gives it."""
        blanks = (question.blank for question in self.questions(name))
        return answer.split() in [[], *(blank.split() for blank in blanks)]


def find() -> Course:
    """Return the course: that of KUBELAB_COURSE, else the checkout kubelab is installed from."""
    named = os.environ.get("KUBELAB_COURSE")
    root = Path(named).expanduser() if named else Path(__file__).parents[1]
    if not (root / "labs").is_dir():
        raise CourseError(
            f"{root} holds no course: it has no labs/ folder. Clone the course's repository and "
            "install kubelab from it (`make setup`), or set KUBELAB_COURSE to where it is."
        )
    return Course(root.resolve())


def of(grader: Path) -> Course:
    """Return the course that a grader belongs to: tests/grading/<chapter>/test_<exercise>.py."""
    return Course(grader.parents[3])


def exercise_name(grader: Path) -> str:
    """Return the exercise's name from its grader's path."""
    return f"{grader.parent.name}/{grader.stem.removeprefix('test_').replace('_', '-')}"


def find_answer(answers: Path, name: str) -> Path | None:
    """Return the file that answers an exercise in a folder laid out like solutions/."""
    candidates = (answers / f"{name}{suffix}" for suffix in SUFFIXES.values())
    return next((path for path in candidates if path.is_file()), None)


def _questions(lab: Path) -> Iterator[Question]:
    text = lab.read_text(encoding="utf-8")
    for cell in _CELL.finditer(text):
        source = _OPTIONS.sub("", cell["body"])
        if found := _QUESTION.match(source):
            line = text.count("\n", 0, cell.start()) + 1
            yield Question(found["name"], lab, line, found["blank"])
