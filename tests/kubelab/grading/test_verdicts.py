"""Grading an answer end to end: what the learner is told, and what is left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from datetime import datetime

import psutil
import pytest
from kubernetes import client

from kubelab import waiting
from kubelab.course import Course
from kubelab.grading import identity, verdict
from kubelab.grading.runner import Runner

GREETING = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: greeting}\ndata: {word: hello}\n"


@pytest.fixture
def grade(cluster, runner, tmp_path):
    """Grade a text as the answer to an exercise of the demo course."""

    def graded(name, text, suffix=".py", **options):
        path = tmp_path / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return runner.grade(name, tmp_path, **options)

    return graded


def test_a_right_answer_earns_all_points(demo, runner, cluster):
    result = runner.grade("demo/greeting", demo.root / "solutions")
    assert (result.state, result.points, result.max) == (verdict.PASSED, 10, 10)
    assert result.title == "A greeting"
    assert "all checks passed" in str(result)
    assert (result.engine, result.version) == (cluster.engine, cluster.version)
    assert datetime.fromisoformat(result.date).tzinfo


def test_a_python_answer_runs_as_the_learner(demo, runner, cluster):
    result = runner.grade("demo/counting", demo.root / "solutions")
    assert result.state == verdict.PASSED, str(result)


def test_a_wrong_answer_is_told_observed_expected_and_where_to_look(grade):
    result = grade("demo/greeting", GREETING.replace("hello", "bye"), ".yaml")
    assert (result.state, result.points) == (verdict.FAILED, 2.5)
    assert [check.state for check in result.checks] == [verdict.PASSED, verdict.FAILED]
    shown = str(result)
    for part in (
        "failed: 1 of 2 checks passed",
        "observed:  the word is 'bye'",
        "expected:  'hello'",
        "look next: the data of the ConfigMap",
    ):
        assert part in shown
        assert part.replace("'", "&#x27;") in result._repr_html_()
    assert "Traceback" not in shown


@pytest.mark.parametrize("text", ["", "\n  \n", "# TODO: print  the number of nodes\n\n..."])
def test_a_blank_is_not_attempted(grade, text):
    assert grade("demo/counting", text).state == verdict.NOT_ATTEMPTED


def test_a_missing_file_is_not_attempted(cluster, runner, tmp_path):
    assert runner.grade("demo/counting", tmp_path).state == verdict.NOT_ATTEMPTED


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("print(1", ["line 1", "not valid Python: '(' was never closed"]),
        ("x = 1\nprint(y)\n", ["line 2", "NameError: name 'y' is not defined", "print(y)"]),
        ("def f():\n    1 / 0\nf()\n", ["line 2", "ZeroDivisionError"]),
        ("import sys\nprint('no')\nsys.exit(3)", ["exit code 3", "no"]),
        ("x = 1\nwhile True: pass\n", ["line 2", "still ran after 3 s", "never ends"]),
        ("import os\nos.kill(os.getpid(), 9)\n", ["your program was killed"]),
    ],
    ids=["syntax", "exception", "deeper exception", "exit code", "endless", "killed"],
)
def test_a_program_that_cannot_be_graded_is_told_its_line(grade, text, messages):
    result = grade("demo/counting", text)
    assert (result.state, result.points) == (verdict.ERROR, 0)
    assert "Traceback" not in str(result)
    for message in messages:
        assert message in str(result)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("a: 1\n  b: 2\n", ["line 2", "not valid YAML", "b: 2", "indentation"]),
        (f"{GREETING}---\n- 1\n", ["line 6", "an object with fields, not a list"]),
        ("# nothing\n", ["no object"]),
        (GREETING.replace("kind: ConfigMap\n", ""), ["line 1", "has no kind"]),
        (GREETING + "kind: Pod\n", ["line 5", "'kind' stands twice"]),
        (GREETING.replace("ConfigMap", "ConfigMapp"), ["no kind ConfigMapp", "v1 has ConfigMap"]),
        (GREETING.replace("v1", "example.com/v1"), ["no kind ConfigMap in apiVersion example.com"]),
        (GREETING.replace("hello", "[1]"), ["line 1", "refused ConfigMap greeting"]),
        (GREETING.replace("greeting", "Bad_Name"), ["line 3", "metadata.name: Invalid value"]),
        (GREETING.replace("ConfigMap", "Namespace"), ["belongs to the whole cluster"]),
        (GREETING.replace("{name", "{namespace: default, name"), ["the namespace default"]),
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_graded_is_told_its_line(grade, text, messages):
    result = grade("demo/greeting", text, ".yaml")
    assert (result.state, result.points) == (verdict.ERROR, 0)
    for message in messages:
        assert message in str(result)


@pytest.mark.embedded
def test_a_kind_that_the_engine_lacks_is_named_with_the_engine_that_has_it(grade):
    claim = "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: {name: x}"
    result = grade("demo/greeting", claim, ".yaml")
    assert result.state == verdict.ERROR
    assert "no kind ResourceClaim in apiVersion resource.k8s.io/v1" in str(result)
    assert "KUBELAB_ENGINE=kind" in str(result)


def test_an_answer_can_reach_its_own_namespace_only(grade):
    result = grade(
        "demo/counting",
        """\
        from kubernetes import client, config
        config.load_kube_config()
        namespace = config.list_kube_config_contexts()[1]["context"]["namespace"]
        core = client.CoreV1Api()
        core.create_namespaced_config_map(namespace, {"metadata": {"name": "mine"}})
        print("so far", len(core.list_namespaced_config_map(namespace).items) > 0)
        core.list_namespaced_config_map("default")
        """,
    )
    assert result.state == verdict.ERROR
    for message in ("line 7", "403", "forbidden", "its own namespace only", "so far True"):
        assert message in str(result)


def test_an_answer_sees_neither_the_graders_environment_nor_its_directory(grade, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_GRADER", "1")
    result = grade(
        "demo/counting",
        """\
        import os, pathlib
        seen = [name for name in os.environ if "SECRET" in name or name.startswith("KUBELAB")]
        files = list(pathlib.Path.cwd().iterdir())
        raise SystemExit(f"seen {seen} {files}")
        """,
    )
    assert "seen [] []" in str(result)


def test_a_flood_of_output_is_cut(grade):
    result = grade("demo/counting", "while True:\n    print('x' * 100000)\n")
    assert "still ran after 3 s" in str(result)
    assert len(str(result)) < 1000


def test_what_an_answer_starts_ends_with_it(grade):
    result = grade(
        "demo/counting",
        """\
        import subprocess
        child = subprocess.Popen(["sleep", "600"])
        raise SystemExit(f"child {child.pid}.")
        """,
    )
    pid = int(str(result).partition("child ")[2].partition(".")[0])
    waiting.until(lambda: not psutil.pid_exists(pid), timeout=10)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ("needs=(99, 0), ", "needs Kubernetes 99.0 or newer; this cluster is v1."),
        ('capabilities=("load-image", "advance-time"), ', "needs a cluster that can "),
    ],
)
def test_an_exercise_beyond_the_cluster_is_skipped(cluster, demo, tmp_path, facts, message):
    if facts.startswith("cap") and cluster.can("load-image") and cluster.can("advance-time"):
        pytest.skip("this cluster can do everything")
    course = Course(shutil.copytree(demo.root, tmp_path / "course"))
    grader = course.grader("demo/greeting")
    grader.write_text(grader.read_text().replace("Exercise(", f"Exercise({facts}"))
    with Runner(course) as runner:
        result = runner.grade("demo/greeting", course.root / "solutions")
    assert result.state == verdict.SKIPPED
    assert message in str(result)


def test_a_fault_of_the_grader_is_not_put_on_the_answer(cluster, demo, tmp_path):
    course = Course(shutil.copytree(demo.root, tmp_path / "course"))
    grader = course.grader("demo/greeting")
    grader.write_text(grader.read_text().replace('.data["word"]', '.data["no such word"]'))
    with Runner(course) as runner:
        result = runner.grade("demo/greeting", course.root / "solutions")
        assert result.state == verdict.BROKEN
        assert "the grader is at fault, not your answer: KeyError" in str(result)
        grader.write_text("this is not Python")
        result = runner.grade("demo/greeting", course.root / "solutions")
    assert result.state == verdict.BROKEN
    assert "not your answer's fault" in str(result)
    assert "test_greeting.py" in str(result)


def test_the_namespace_is_deleted_with_the_identity(cluster, grade):
    core = client.CoreV1Api(cluster.api_client())
    rbac = client.RbacAuthorizationV1Api(cluster.api_client())
    before = {one.metadata.name for one in core.list_namespace().items}
    assert grade("demo/greeting", GREETING, ".yaml").state == verdict.PASSED
    new = [n for n in core.list_namespace().items if n.metadata.name not in before]
    assert all(one.metadata.deletion_timestamp for one in new)
    roles = [one.metadata.name for one in rbac.list_cluster_role().items]
    assert not [name for name in roles if name.startswith("kubelab-grading-greeting")]


def test_grading_that_takes_too_long_is_stopped_and_cleaned_up_by_the_next(cluster, grade):
    core = client.CoreV1Api(cluster.api_client())

    def living():
        found = core.list_namespace(label_selector=identity.GRADER_LABEL).items
        names = [one.metadata.name for one in found if not one.metadata.deletion_timestamp]
        return [name for name in names if name.startswith("counting-")]

    endless = "import time\ntime.sleep(600)\n"
    slow = grade("demo/counting", endless, seconds=0.1)
    while not living():  # the deadline may fall before the namespace is there: give it more time
        slow = grade("demo/counting", endless, seconds=1)
    assert slow.state == verdict.BROKEN
    assert "not finished after" in str(slow)
    left = living()
    assert grade("demo/greeting", GREETING, ".yaml").state == verdict.PASSED
    assert not set(left) & set(living())


def test_nothing_outlives_the_process_that_grades(cluster, demo, tmp_path):
    answer = tmp_path / "demo" / "counting.py"
    answer.parent.mkdir()
    mark = f"{tmp_path.name}-is-running"
    answer.write_text(f"import subprocess\nsubprocess.run(['sh', '-c', 'sleep 600 # {mark}'])\n")
    program = (
        "import pathlib\n"
        "from kubelab.course import Course\n"
        "from kubelab.grading.runner import Runner\n"
        f"Runner(Course(pathlib.Path({str(demo.root)!r})))"
        f".grade('demo/counting', pathlib.Path({str(tmp_path)!r}))\n"
    )
    grading = subprocess.Popen([sys.executable, "-c", program])

    def marked():
        return [p.pid for p in psutil.process_iter() if mark in " ".join(command_line(p))]

    def family():
        return psutil.Process(grading.pid).children(recursive=True)

    waiting.until(marked, timeout=60, what="the answer to run")
    processes = family()
    assert processes
    os.kill(grading.pid, signal.SIGKILL)
    grading.wait()
    waiting.until(lambda: not marked(), timeout=10, what="the answer to be gone")
    waiting.until(lambda: not any(p.is_running() for p in processes), timeout=10)


def command_line(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def run_pytest(demo, *options):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", demo.root]
    command += [demo.root / "tests" / "grading", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_pytest_grades_a_directory_and_writes_a_report(cluster, demo, tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "greeting.yaml").write_text(GREETING.replace("hello", "bye"))
    report = tmp_path / "report.json"
    done = run_pytest(demo, "--answers", tmp_path, "--report", report, "-q")
    assert done.returncode == 1
    assert "✗ demo/greeting" in done.stdout
    assert "failed: 1 of 2 checks passed" in done.stdout
    assert "not attempted" in done.stdout
    assert "Traceback" not in done.stdout
    first, second = json.loads(report.read_text())
    assert first["id"] == "demo/counting"
    assert first["state"] == verdict.NOT_ATTEMPTED
    assert second["checks"][1] == {
        "name": "It says hello",
        "state": "failed",
        "message": second["checks"][1]["message"],
        "points": 0,
        "max": 7.5,
    }
    assert second["engine"] == cluster.engine


def test_pytest_shows_the_teaching_message_instead_of_a_traceback(cluster, demo, tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "greeting.yaml").write_text(GREETING.replace("hello", "bye"))
    done = run_pytest(demo, "--answers", tmp_path)
    assert "observed:  the word is 'bye'" in done.stdout
    assert "def test_word" not in done.stdout


def test_pytest_grades_the_reference_answers_by_default(cluster, demo):
    done = run_pytest(demo)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("all checks passed") == 2


def test_pytest_refuses_a_directory_that_is_not_there(demo, tmp_path):
    done = run_pytest(demo, "--answers", tmp_path / "nowhere")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "there is no such directory" in done.stderr


def test_waiting_for_the_deadline_can_be_interrupted(cluster, demo, tmp_path):
    """Ctrl-C, or the stop button of a notebook, stops the grader at once."""
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "counting.py").write_text("import time\ntime.sleep(600)\n")
    program = (
        "import pathlib\n"
        "from kubelab.course import Course\n"
        "from kubelab.grading.runner import Runner\n"
        f"runner = Runner(Course(pathlib.Path({str(demo.root)!r})))\n"
        "print('ready', flush=True)\n"
        "try:\n"
        f"    runner.grade('demo/counting', pathlib.Path({str(tmp_path)!r}))\n"
        "except KeyboardInterrupt:\n"
        "    runner.close()\n"
        "    print('interrupted')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    waiting.until(lambda: psutil.Process(process.pid).children(recursive=True), timeout=30)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted\n"
