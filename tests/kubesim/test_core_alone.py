"""The core needs asyncio and nothing else of the operating system."""

import subprocess
import sys
from pathlib import Path

import pytest

ALONE = Path(__file__).with_name("alone.py")


def run(*arguments):
    command = [sys.executable, ALONE, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def test_a_cluster_runs_a_deployment_without_an_operating_system():
    done = run()
    assert (done.returncode, done.stdout) == (0, "ready\n"), done.stderr


@pytest.mark.parametrize(
    "intrusion",
    [
        "import threading",
        "from concurrent import futures",
        "import cryptography.x509",
        "open('/etc/hostname')",
        "open('kubesim.log', 'w')",
        "import asyncio; asyncio.base_events.socket.socket()",
        "import os; os.system('true')",
    ],
)
def test_what_is_forbidden_is_noticed(intrusion):
    done = run(intrusion)
    assert done.returncode == 1
    assert "AssertionError" in done.stderr, done.stderr
