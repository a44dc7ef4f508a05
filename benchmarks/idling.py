"""What an idle cluster of three nodes costs."""

import subprocess
import sys
import tempfile
import time

from benchmarks.table import Row
from benchmarks.timing import processor_seconds

SETTLING, WATCHED = 10.0, 60.0


def measure() -> Row:
    """Let a cluster settle, then do nothing for a minute, and look at its processor time."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "kubesim", "serve", "--data", folder, "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        process.stdout.readline()
        time.sleep(SETTLING)
        before = processor_seconds(process.pid)
        time.sleep(WATCHED)
        spent = processor_seconds(process.pid) - before
        process.terminate()
        process.wait()
    share = 100 * spent / WATCHED
    return Row("idle cluster of 3 nodes, of a core", "< 0.5 %", [share], unit="%")
