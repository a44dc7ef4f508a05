"""From the start of the process to the first answer."""

import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.request

from benchmarks.table import Row
from benchmarks.timing import timed

RUNS = 7


def first_answer() -> None:
    """Start kubesim on an empty directory, wait for its first answer and stop it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "kubesim", "serve", "--data", folder, "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        address = process.stdout.readline().split()[3].rstrip(",")
        context = ssl._create_unverified_context()
        urllib.request.urlopen(f"{address}/version", context=context).read()
        process.send_signal(signal.SIGKILL)
        process.wait()


def measure() -> Row:
    """Start several times; the first start, which compiles, does not count."""
    first_answer()
    return Row("process start to first answered request", "< 0.7 s", timed(first_answer, RUNS))
