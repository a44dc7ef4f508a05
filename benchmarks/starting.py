"""From the start of the process to the first answer."""

import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator

from benchmarks.table import Row
from benchmarks.timing import processor_seconds

RUNS = 7


def first_answer() -> tuple[float, float]:
    """Start kubesim on an empty directory; return the seconds to its first answer, and of work."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "kubesim", "serve", "--data", folder, "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        address = process.stdout.readline().split()[3].rstrip(",")
        context = ssl._create_unverified_context()
        urllib.request.urlopen(f"{address}/version", context=context).read()
        seconds, worked = time.perf_counter() - begin, processor_seconds(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
    return seconds, worked


def measure() -> Iterator[Row]:
    """Start several times; the first start, which compiles, does not count."""
    first_answer()
    seconds, worked = zip(*(first_answer() for _ in range(RUNS)), strict=True)
    yield Row("process start to first answered request", "< 0.7 s", [*seconds])
    yield Row("… of it processor time", "", [*worked])
