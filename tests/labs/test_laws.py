"""The laws that every exercise obeys: it is asked once, and its grader tells answers apart.

That the reference answers pass is not proven here: `pytest tests/grading` without `--answers`
grades them, and is a part of every full run.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelab import course
from kubelab.grading import verdict
from kubelab.grading.runner import Runner

COURSE = course.find()
EXERCISES = COURSE.exercises()
NEAR_MISSES = [(name, path) for name in EXERCISES for path in COURSE.near_misses(name)]
DECLARATION = "# fails: "


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner(COURSE) as made:
        yield made


def place(answers: Path, name: str, text: str, suffix: str) -> Path:
    path = answers / f"{name}{suffix}"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return answers


def declared_message(near_miss: Path) -> str:
    first = near_miss.read_text().partition("\n")[0]
    return first.removeprefix(DECLARATION) if first.startswith(DECLARATION) else ""


def test_there_are_exercises():
    assert EXERCISES


def test_every_question_has_a_grader():
    assert sorted({question.exercise for question in COURSE.questions()}) == sorted(EXERCISES)


def test_every_solution_has_a_grader():
    root = COURSE.root / "solutions"
    solutions = [path for path in root.rglob("*") if path.suffix in course.SUFFIXES.values()]
    names = sorted(str(path.relative_to(root).with_suffix("")) for path in solutions)
    assert names == sorted(EXERCISES)


@pytest.mark.parametrize("name", EXERCISES)
def test_an_exercise_is_asked_by_one_cell_of_its_chapters_labs(name):
    [question] = COURSE.questions(name)
    assert question.lab.parent.name == name.partition("/")[0]
    assert question.blank.strip()


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_is_not_the_blank(name):
    assert not COURSE.is_blank(name, COURSE.solution(name).read_text())


@pytest.mark.parametrize("name", EXERCISES)
def test_two_near_misses_at_least_declare_different_messages(name):
    messages = [declared_message(path) for path in COURSE.near_misses(name)]
    assert all(messages), f"the first line of each near-miss reads {DECLARATION}<message>"
    assert len(set(messages)) >= 2


@pytest.mark.parametrize("name", EXERCISES)
def test_a_blank_is_not_attempted(name, cluster, runner, tmp_path):
    blank = COURSE.questions(name)[0].blank
    answers = place(tmp_path, name, blank, COURSE.solution(name).suffix)
    assert runner.grade(name, answers).state == verdict.NOT_ATTEMPTED


@pytest.mark.parametrize(
    ("name", "near_miss"), NEAR_MISSES, ids=[f"{name}-{path.stem}" for name, path in NEAR_MISSES]
)
def test_a_near_miss_fails_with_its_own_message(name, near_miss, cluster, runner, tmp_path):
    answers = place(tmp_path, name, near_miss.read_text(), near_miss.suffix)
    result = runner.grade(name, answers)
    if result.state == verdict.SKIPPED:
        pytest.skip(result.message)
    assert result.state in (verdict.FAILED, verdict.ERROR), str(result)
    assert declared_message(near_miss) in " ".join(str(result).split())
