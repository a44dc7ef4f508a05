"""What an idle cluster of three nodes costs."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import Row

SETTLING, WATCHED = 10.0, 60.0


def measure() -> Row:
    """Let a cluster settle, then do nothing for a minute, and look at its processor time."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "kubesim", "serve", "--data", folder, "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        process.stdout.readline()
        time.sleep(SETTLING)
        before = _processor_seconds(process.pid)
        time.sleep(WATCHED)
        spent = _processor_seconds(process.pid) - before
        process.terminate()
        process.wait()
    share = 100 * spent / WATCHED
    return Row("idle cluster of 3 nodes, of a core", "< 0.5 %", [share], unit="%")


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
