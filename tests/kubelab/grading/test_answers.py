"""Python answers as graders run them: with a kubeconfig, in the background, again and again."""

import pytest
import yaml

from kubelab import waiting
from kubelab.grading import AnswerError
from kubelab.grading.answer import LARGEST_FILE, Answer, check_syntax
from kubelab.grading.launchers import launcher

# Each line stands for nine times the one before.
BILLIONS = "a0: &a0 [1]\n" + "\n".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)
)
KUBECONFIG = {"kind": "Config", "current-context": "learner"}


@pytest.fixture(scope="module")
def launch():
    made = launcher()
    yield made
    made.close()


@pytest.fixture
def answer(launch, tmp_path):
    def made(text):
        path = tmp_path / "answer.py"
        path.write_text(text)
        return Answer(path, KUBECONFIG, launch, 60)

    return made


def test_a_run_gives_output_errors_and_exit_code(answer):
    run = answer("import sys\nprint('ü')\nprint('b', file=sys.stderr)\nsys.exit(4)\n").run()
    assert (run.stdout, run.stderr, run.exit_code) == ("ü\n", "b\n", 4)


def test_arguments_and_main_are_those_of_a_script(answer):
    run = answer("import sys\nif __name__ == '__main__': print(sys.argv[1:])\n").run(
        arguments=["a", "b c"]
    )
    assert run.stdout == "['a', 'b c']\n"


@pytest.mark.parametrize("other", [None, {"current-context": "other"}, "current-context: other"])
def test_the_kubeconfig_can_be_another(answer, other):
    run = answer("import os\nprint(open(os.environ['KUBECONFIG']).read())\n").run(other)
    name = "other" if other else "learner"
    assert yaml.safe_load(run.stdout)["current-context"] == name


def test_the_client_reads_that_kubeconfig_by_default(answer):
    text = "from kubernetes import config\nconfig.load_kube_config()\n"
    with pytest.raises(AnswerError, match="line 2: ConfigException: Invalid kube-config file"):
        answer(text).run()


def test_an_answer_can_run_in_the_background(answer):
    text = "import time\nprint('begun')\nwhile True:\n    time.sleep(1)\n"
    with answer(text).start() as process:
        waiting.until(lambda: process.output() == "begun\n")
        assert process.alive()
    assert not process.alive()


def test_a_timeout_can_be_shorter(answer):
    with pytest.raises(AnswerError, match=r"still ran after 0.5 s[\s\S]*sleep"):
        answer("import time\ntime.sleep(600)\n").run(timeout=0.5)


def test_output_is_capped(answer):
    run = answer("print('x' * 10_000_000)\n").run()
    assert run.stdout.endswith("… (cut after 64 KiB)")
    assert len(run.stdout) < 70_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * (LARGEST_FILE + 1), "larger than 256 KiB"),
        (b"x = '\x00'", "not valid Python"),
        (b"(" * 1000, "not valid Python"),
    ],
)
def test_a_file_that_is_no_program_is_refused(tmp_path, content, message):
    path = tmp_path / "answer.py"
    path.write_bytes(content)
    with pytest.raises(AnswerError, match=message):
        check_syntax(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [*a]", "refers to itself"),
        (BILLIONS, "far too large"),
        ("[" * 5000, "nested without end"),
        ("a: !!python/object/apply:os.system [id]", "not valid YAML"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "line 4: the key 'c' stands twice"),
    ],
)
def test_yaml_that_is_meant_badly_is_refused(tmp_path, text, message):
    path = tmp_path / "answer.yaml"
    path.write_text(text)
    with pytest.raises(AnswerError, match=message):
        check_syntax(path)
