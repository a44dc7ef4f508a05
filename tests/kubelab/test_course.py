"""The names that tie an exercise's parts together."""

import pytest

from kubelab import course
from kubelab.course import Course, CourseError

LAB = """\
# Lab

```{code-cell} ipython3
print("not an exercise")
```

```{code-cell} ipython3
:tags: [a]
:name: b
%%exercise pod/shared-volume
kind: Pod
# TODO
```

```{code-cell}
---
tags: [a]
---
%%exercise pod/other-thing
...
```

```yaml
%%exercise pod/no-cell
```
"""


@pytest.fixture
def parts(tmp_path):
    for name, text in {
        "labs/pod/lab.md": LAB,
        "solutions/pod/shared-volume.yaml": "kind: Pod\n",
        "tests/grading/pod/test_shared_volume.py": "",
        "tests/grading/pod/test_other_thing.py": "",
        "tests/grading/pod/near_misses/shared-volume/b.yaml": "",
        "tests/grading/pod/near_misses/shared-volume/a.yaml": "",
        "tests/grading/pod/near_misses/shared-volume/notes.txt": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Course(tmp_path)


def test_exercises_are_named_by_their_graders(parts):
    assert parts.exercises() == ["pod/other-thing", "pod/shared-volume"]
    grader = parts.grader("pod/shared-volume")
    assert course.exercise_name(grader) == "pod/shared-volume"
    assert course.of(grader) == parts


def test_questions_are_cells_with_their_line_and_blank(parts):
    first, second = parts.questions()
    assert (first.exercise, first.line) == ("pod/shared-volume", 7)
    assert first.blank == "kind: Pod\n# TODO\n"
    assert second.blank == "...\n"
    assert parts.questions("pod/other-thing") == [second]


@pytest.mark.parametrize("answer", ["", " \n", "kind: Pod\n# TODO\n", "kind:  Pod\n\n  # TODO"])
def test_a_blank_is_recognized_whatever_its_white_space(parts, answer):
    assert parts.is_blank("pod/shared-volume", answer)


def test_an_answer_is_not_a_blank(parts):
    assert not parts.is_blank("pod/shared-volume", "kind: Pod\n")
    assert not parts.is_blank("pod/shared-volume", "...\n")


def test_solutions_and_near_misses_are_found(parts):
    assert parts.solution("pod/shared-volume").name == "shared-volume.yaml"
    assert [path.name for path in parts.near_misses("pod/shared-volume")] == ["a.yaml", "b.yaml"]
    with pytest.raises(CourseError, match="no reference answer"):
        parts.solution("pod/other-thing")


def test_a_misspelt_name_is_answered_with_the_nearest(parts):
    with pytest.raises(CourseError, match=r"no exercise 'pod/shared'.*Did you mean pod/shared-vol"):
        parts.grader("pod/shared")
    with pytest.raises(CourseError, match="The exercises are pod/other-thing, pod/shared-volume"):
        parts.grader("zzz")


def test_the_course_is_found_by_the_environment_or_the_installation(parts, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBELAB_COURSE", str(tmp_path))
    assert course.find() == parts
    monkeypatch.setenv("KUBELAB_COURSE", str(tmp_path / "labs" / "pod"))
    with pytest.raises(CourseError, match=r"holds no course.*make setup.*KUBELAB_COURSE"):
        course.find()
    monkeypatch.delenv("KUBELAB_COURSE")
    assert (course.find().root / "kubelab" / "course.py").is_file()
