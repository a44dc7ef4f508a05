"""Daemons are found again by identity, not by number, on Linux and elsewhere."""

import dataclasses
import os
import shutil
import stat
import sys

import pytest

from kubelab import waiting
from kubelab.clusters import processes

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture(params=["linux", "darwin"])
def system(request, monkeypatch) -> None:
    """Both ways to learn when a process was started: /proc, and ps."""
    usable = {"linux": sys.platform == "linux", "darwin": shutil.which("ps")}
    if not usable[request.param]:
        pytest.skip(f"this machine cannot be asked as {request.param} is")
    monkeypatch.setattr(sys, "platform", request.param)


@pytest.fixture
def spawn(system, tmp_path):
    """Spawn a Python program as a daemon; whatever the test does, it ends."""
    spawned = []

    def run(program: str) -> processes.Daemon:
        spawned.append(processes.spawn([sys.executable, "-c", program], tmp_path / "log"))
        return spawned[-1]

    yield run
    for daemon in spawned:
        daemon.terminate(grace=1)


def test_a_daemon_is_alive_until_it_is_terminated(spawn):
    daemon = spawn("import time; time.sleep(600)")
    assert daemon.alive()
    daemon.terminate()
    assert not daemon.alive()


def test_one_that_ignores_the_request_is_killed(spawn, tmp_path):
    daemon = spawn(STUBBORN)
    waiting.until(lambda: "ready" in (tmp_path / "log").read_text(), what="it to ignore SIGTERM")
    daemon.terminate(grace=0.5)
    assert not daemon.alive()


def test_one_that_ended_is_not_alive(spawn):
    daemon = spawn("pass")
    waiting.until(lambda: not daemon.alive(), what="it to end")


def test_another_process_of_the_same_number_is_not_the_daemon(spawn):
    other = spawn("import time; time.sleep(600)")
    daemon = dataclasses.replace(other, started="at another time")
    assert not daemon.alive()
    daemon.terminate()
    assert other.alive()


def test_a_daemon_has_a_session_of_its_own_so_that_ctrl_c_passes_it_by(spawn):
    daemon = spawn("import time; time.sleep(600)")
    assert os.getsid(daemon.pid) == daemon.pid != os.getsid(0)


def test_the_log_is_private_and_the_one_before_is_kept(spawn, tmp_path):
    for word in ("first", "second"):
        daemon = spawn(f"print('{word}')")
        waiting.until(lambda daemon=daemon: not daemon.alive(), what="it to end")
    assert (tmp_path / "log").read_text() == "second\n"
    assert (tmp_path / "log.previous").read_text() == "first\n"
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600
