"""The magics of a notebook: what is saved, what is shown, what is remembered."""

import json

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kubelab import course
from kubelab.course import CourseError
from kubelab.exercises import Desk
from kubelab.grading import verdict

BLANK = "# TODO: print the number of nodes\n...\n"
GREETING = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: greeting}\ndata: {word: hello}\n"


class NoRunner:
    """Stands where nothing may be graded."""

    def grade(self, *_, **__):
        pytest.fail("this needs no cluster")


@pytest.fixture
def desk(demo, home):
    """A desk that can do what needs no cluster."""
    return Desk(demo, home, NoRunner())


@pytest.fixture
def graded(cluster, demo, home, runner):
    """A desk with a cluster."""
    return Desk(demo, home, runner)


def test_a_blank_is_answered_at_once_and_not_saved(desk, home):
    result = desk.submit("demo/counting", BLANK)
    assert result.state == verdict.NOT_ATTEMPTED
    assert "%exercise_hint demo/counting" in str(result)
    assert not home.root.exists()


def test_running_a_blank_again_keeps_the_answer_and_says_where(desk, home):
    path = home.save_answer("demo/counting", "print(3)\n", ".py")
    assert str(path) in str(desk.submit("demo/counting", BLANK))
    assert path.read_text() == "print(3)\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("demo/counting", "for x in 1:\nprint(x)\n", "line 2"),
        ("demo/greeting", "a: b: c\n", "line 1"),
    ],
)
def test_a_syntax_error_is_told_at_once_and_the_answer_saved(desk, home, name, text, message):
    result = desk.submit(name, text)
    assert result.state == verdict.ERROR
    assert message in str(result)
    assert course.find_answer(home.answers, name).read_text() == text
    assert home.verdict(name) == (result, True)


def test_an_unknown_exercise_is_answered_with_the_nearest(desk, home):
    with pytest.raises(CourseError, match="Did you mean demo/greeting"):
        desk.submit("demo/greting", GREETING)
    assert not home.root.exists()


def test_hints_come_one_by_one(desk):
    shown = [desk.hint("demo/greeting") for _ in range(3)]
    assert shown == ["Hint 1 of 2: Look up.", "Hint 2 of 2: Say hello.", "Hint 1 of 2: Look up."]
    assert desk.hint("demo/counting") == "demo/counting has no hints."


def test_an_answer_is_saved_graded_and_remembered(graded, home):
    result = graded.submit("demo/greeting", GREETING)
    assert result.state == verdict.PASSED
    assert (home.answers / "demo" / "greeting.yaml").read_text() == GREETING
    progress = str(graded.progress()).splitlines()
    assert progress[1].split() == ["demo/counting", "-", "not", "attempted"]
    assert progress[2].split() == ["demo/greeting", "10", "of", "10", "passed"]
    home.save_answer("demo/greeting", GREETING + "#", ".yaml")
    assert "changed since" in str(graded.progress())


def test_without_a_cluster_the_answer_is_safe(demo, home, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBELAB_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("KUBELAB_ENGINE", "existing")
    monkeypatch.setenv("KUBELAB_CONTEXT", "no-such-context")
    result = Desk(demo, home, NoRunner()).submit("demo/greeting", GREETING)
    assert result.state == verdict.BROKEN
    saved = home.answers / "demo" / "greeting.yaml"
    assert str(saved) in str(result)
    assert "no-such-context" in str(result)
    assert saved.read_text() == GREETING


@pytest.fixture(scope="module")
def own_workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def shell(demo, cluster, own_workspace):
    """An IPython shell in which `%load_ext kubelab` was run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBELAB_COURSE", str(demo.root))
        patch.setenv("KUBELAB_WORKSPACE", str(own_workspace))
        made = InteractiveShell.instance()
        made.run_line_magic("load_ext", "kubelab")
        yield made
        InteractiveShell.clear_instance()


def test_the_magics_of_a_notebook(shell, capsys, own_workspace):
    shell.run_cell(f"%%exercise demo/greeting\n{GREETING}")
    assert "passed: all checks passed" in capsys.readouterr().out
    shell.run_cell("%exercise_hint demo/greeting")
    assert "Hint 1 of 2" in capsys.readouterr().out
    shell.run_cell("%progress")
    assert "10 of 10" in capsys.readouterr().out
    assert (own_workspace / "answers" / "demo" / "greeting.yaml").exists()
    progress = json.loads((own_workspace / "progress.json").read_text())
    assert progress["demo/greeting"]["verdict"]["checks"]


def test_a_wrong_name_in_a_notebook_is_one_message(shell, capsys):
    result = shell.run_cell("%%exercise demo/nothing\n1\n")
    assert isinstance(result.error_in_exec, CourseError)
    shown = capsys.readouterr()
    assert "There is no exercise" in shown.out + shown.err
    assert "Traceback" not in shown.out + shown.err


def test_the_answer_never_runs_in_the_notebooks_process(shell, capsys):
    shell.run_cell("%%exercise demo/counting\nimport builtins\nbuiltins.stained = 1\nprint(0)\n")
    assert "the printed number is '0'" in capsys.readouterr().out
    assert shell.run_cell("import builtins; hasattr(builtins, 'stained')").result is False
