"""`tools/setup.sh` names what a machine lacks and the command that mends it, changing nothing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "setup.sh"
PYTHONS = ("python3", "python3.11", "python3.12", "python3.13", "python3.14")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script and, first on PATH, the stand-ins that a test writes."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(SCRIPT, tmp_path / "tools" / "setup.sh")
    return tmp_path


def stand_in(checkout: Path, name: str, script: str) -> None:
    file = checkout / "bin" / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def setup(checkout: Path) -> subprocess.CompletedProcess[str]:
    path = f"{checkout / 'bin'}:/usr/bin:/bin"
    environment = {"PATH": path, "HOME": str(checkout), "LC_ALL": "C"}
    command = ["bash", checkout / "tools" / "setup.sh"]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def assert_refused(checkout: Path, *words: str) -> None:
    done = setup(checkout)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert [word for word in words if word not in done.stderr] == []
    assert not (checkout / ".venv").exists()


def test_an_old_python_is_named_with_its_cure(checkout: Path) -> None:
    for name in PYTHONS:
        stand_in(checkout, name, 'case "$1" in --version) echo Python 3.9.2 ;; *) exit 1 ;; esac')
    cure = "brew install" if os.uname().sysname == "Darwin" else "sudo apt install python3.11"
    assert_refused(checkout, "Python 3.11 or newer", "Python 3.9.2", cure)


def test_a_missing_venv_module_is_named_with_its_cure(checkout: Path) -> None:
    answers = 'case "$2" in *ensurepip*) exit 1 ;; *print*) echo 3.12 ;; esac'
    for name in PYTHONS:
        stand_in(checkout, name, answers)
    assert_refused(checkout, "no venv module", "sudo apt install python3.12-venv")


def test_a_full_disk_is_named(checkout: Path) -> None:
    for name in PYTHONS:
        stand_in(checkout, name, "exit 0")
    stand_in(checkout, "df", "echo head; echo /dev/x 100 90 10 90% /")
    assert_refused(checkout, "1500 MB", "has 10 MB")
