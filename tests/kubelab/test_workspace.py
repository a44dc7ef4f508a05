"""A learner's directory: nothing in it is ever lost or overwritten."""

import json
import os
import subprocess
import sys

import nbformat
import pytest

from kubelab.course import Course
from kubelab.grading.verdict import PASSED, CheckResult, Verdict
from kubelab.workspace import Workspace

LAB = "---\nfile_format: mystnb\n---\n# A lab\n\n```{code-cell} ipython3\n1 + 1\n```\n"
VERDICT = Verdict("pod/web", "Web", PASSED, points=5, max=5, checks=[CheckResult("a", PASSED)])


@pytest.fixture
def home(tmp_path):
    return Workspace(tmp_path / "home")


@pytest.fixture
def parts(tmp_path):
    lab = tmp_path / "course" / "labs" / "pod" / "lab.md"
    lab.parent.mkdir(parents=True)
    lab.write_text(LAB)
    return Course(tmp_path / "course")


def history(home):
    kept = sorted((home.root / "history").rglob("*.*"))
    return [(str(path.relative_to(home.root)), path.read_text()) for path in kept]


def test_earlier_answers_are_kept_in_order(home):
    for text in ("one", "two", "two", "three"):
        path = home.save_answer("pod/web", text, ".yaml")
    assert path == home.root / "answers" / "pod" / "web.yaml"
    assert path.read_text() == "three"
    assert history(home) == [
        ("history/pod/web/0001.yaml", "one"),
        ("history/pod/web/0002.yaml", "two"),
    ]


def test_an_answer_made_outside_the_notebook_is_kept_too(home):
    path = home.save_answer("pod/web", "mine", ".yaml")
    path.write_text("edited by hand")
    home.save_answer("pod/web", "mine again", ".yaml")
    assert history(home) == [("history/pod/web/0001.yaml", "edited by hand")]


def test_an_answer_that_cannot_be_written_leaves_the_old_one(home):
    path = home.save_answer("pod/web", "one", ".yaml")
    with pytest.raises(UnicodeEncodeError):
        home.save_answer("pod/web", "\ud800", ".yaml")
    assert path.read_text() == "one"
    assert [found.name for found in path.parent.iterdir()] == ["web.yaml"]


def test_progress_tells_whether_the_answer_is_the_one_that_was_graded(home):
    assert home.verdict("pod/web") == (None, False)
    path = home.save_answer("pod/web", "one", ".yaml")
    home.record(VERDICT)
    assert home.verdict("pod/web") == (VERDICT, True)
    path.write_text("two")
    assert home.verdict("pod/web") == (VERDICT, False)
    assert Workspace(home.root).verdict("pod/web")[0] == VERDICT


def test_hints_come_one_by_one_and_survive_a_restart(home):
    assert [home.next_hint("pod/web", 3) for _ in range(2)] == [0, 1]
    assert [Workspace(home.root).next_hint("pod/web", 3) for _ in range(2)] == [2, 0]
    home.record(VERDICT)
    assert home.next_hint("pod/web", 3) == 1


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_damaged_progress_file_is_set_aside(home, capsys, text):
    home.root.mkdir()
    (home.root / "progress.json").write_text(text)
    assert home.verdict("pod/web") == (None, False)
    assert (home.root / "progress.damaged.json").read_text() == text
    assert "set aside" in capsys.readouterr().err
    home.record(VERDICT)
    assert json.loads((home.root / "progress.json").read_text())["pod/web"]


def test_labs_become_notebooks_that_are_never_overwritten(home, parts):
    assert home.copy_labs(parts) == ["new: labs/pod/lab.ipynb"]
    copy = home.root / "labs" / "pod" / "lab.ipynb"
    cells = nbformat.read(copy, as_version=4).cells
    assert [cell.source for cell in cells] == ["# A lab", "1 + 1"]

    copy.write_text("my work")
    assert home.copy_labs(parts) == []
    assert copy.read_text() == "my work"


def test_a_lab_that_changed_is_put_beside_the_learners_copy_once(home, parts):
    home.copy_labs(parts)
    copy = home.root / "labs" / "pod" / "lab.ipynb"
    copy.write_text("my work")
    parts.labs()[0].write_text(LAB.replace("1 + 1", "2 + 2"))
    [said] = home.copy_labs(parts)
    assert "labs/pod/lab.new.ipynb" in said
    beside = home.root / "labs" / "pod" / "lab.new.ipynb"
    assert "2 + 2" in beside.read_text()
    assert copy.read_text() == "my work"
    beside.unlink()
    assert home.copy_labs(parts) == []


def test_a_notebook_that_was_there_before_is_left_alone(home, parts):
    copy = home.root / "labs" / "pod" / "lab.ipynb"
    copy.parent.mkdir(parents=True)
    copy.write_text("from elsewhere")
    home.copy_labs(parts)
    assert copy.read_text() == "from elsewhere"
    assert copy.with_suffix(".new.ipynb").exists()


def test_a_lab_copy_that_was_deleted_is_made_again(home, parts):
    home.copy_labs(parts)
    copy = home.root / "labs" / "pod" / "lab.ipynb"
    copy.unlink()
    assert home.copy_labs(parts) == ["new: labs/pod/lab.ipynb"]
    assert copy.exists()


def test_opening_the_lab_copies_it_and_becomes_jupyterlab_on_loopback(parts, tmp_path):
    fake = tmp_path / "fake"
    fake.mkdir()
    (fake / "jupyterlab.py").write_text(
        "import json, os, sys\nprint(json.dumps([sys.argv[1:], os.environ['KUBELAB_WORKSPACE']]))\n"
    )
    environment = os.environ | {
        "KUBELAB_WORKSPACE": str(tmp_path / "home"),
        "KUBELAB_COURSE": str(parts.root),
        "PYTHONPATH": str(fake),
    }
    done = subprocess.run(
        [sys.executable, "-c", "from kubelab import workspace; workspace.open_lab()"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    *_, said, last = done.stdout.splitlines()
    arguments, workspace = json.loads(last)
    assert said == "new: labs/pod/lab.ipynb"
    assert workspace == str(tmp_path / "home")
    assert "--ServerApp.ip=127.0.0.1" in arguments
    assert f"--ServerApp.root_dir={workspace}" in arguments
