"""Jobs run apart from their launcher, in groups that end as a whole."""

import signal
import sys
from pathlib import Path

import psutil
import pytest

from kubelab import waiting
from kubelab.grading.forkserver import ForkServer
from kubelab.grading.jobs import Job
from kubelab.grading.launchers import Subprocesses


@pytest.fixture(scope="module", params=[ForkServer, Subprocesses])
def launcher(request):
    made = request.param()
    yield made
    made.close()


@pytest.fixture
def launch(launcher, tmp_path):
    """Launch a program; its output goes to the file `output`."""

    def launched(program, **environment):
        job = Job("builtins:exec", [program], tmp_path, environment)
        with (tmp_path / "output").open("wb") as file:
            return launcher.launch(job, file.fileno(), file.fileno())

    return launched


def test_a_job_has_its_own_process_group_directory_and_environment(launch, tmp_path):
    running = launch(
        "import os\nprint(os.getpid() == os.getpgid(0), os.getcwd(), dict(os.environ))", ONLY="this"
    )
    assert running.wait(60) == 0
    group, directory, environment = (tmp_path / "output").read_text().split(maxsplit=2)
    assert group == "True"
    assert directory == str(tmp_path)
    assert "'ONLY': 'this'" in environment
    assert "HOME" not in environment


def test_the_exit_code_is_that_of_the_job(launch):
    assert launch("import sys; sys.exit(7)").wait(60) == 7
    assert launch("import os; os.kill(os.getpid(), 9)").wait(60) == -signal.SIGKILL


def test_an_exception_goes_to_standard_error(launch, tmp_path):
    assert launch("1 / 0").wait(60) == 1
    assert "ZeroDivisionError" in (tmp_path / "output").read_text()


def test_waiting_ends_at_the_deadline_and_stopping_ends_the_job(launch):
    running = launch("import time; time.sleep(600)")
    assert running.wait(0) is None
    assert running.wait(0.1) is None
    running.stop()
    assert running.wait(0) == -signal.SIGKILL


def test_a_job_can_be_stopped_as_soon_as_it_is_launched(launch):
    for _ in range(10):
        running = launch("import time; time.sleep(600)")
        running.stop()
        assert running.wait(0) == -signal.SIGKILL


def test_a_stopped_job_takes_along_what_it_started(launch, tmp_path):
    program = (
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()"
    )
    running = launch(program)
    text = waiting.until((tmp_path / "output").read_text, timeout=60)
    running.stop()
    waiting.until(lambda: not alive(int(text)), timeout=10)


def test_jobs_run_side_by_side(launch):
    slow = launch("import time; time.sleep(600)")
    assert launch("pass").wait(60) == 0
    assert slow.wait(0) is None


def test_closing_stops_what_still_runs(launch, launcher):
    running = launch("import time; time.sleep(600)")
    launcher.close()
    assert running.wait(0) == -signal.SIGKILL


def test_a_server_that_died_is_replaced(tmp_path):
    before = set(psutil.Process().children())
    server = ForkServer()
    server.start()
    [process] = set(psutil.Process().children()) - before
    process.kill()
    process.wait()
    job = Job("builtins:exec", ["import sys; sys.exit(3)"], tmp_path)
    running = server.launch(job, sys.__stdout__.fileno(), sys.__stdout__.fileno())
    assert running.wait(60) == 3
    server.close()


def test_the_servers_directory_is_private_and_goes_with_it():
    server = ForkServer()
    server.start()
    folder = Path(server.address).parent
    assert folder.stat().st_mode & 0o077 == 0
    server.close()
    assert not folder.exists()


def alive(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
