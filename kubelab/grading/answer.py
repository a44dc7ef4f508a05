"""A learner's answer: its file, and ways to run it outside the grader's process."""

import ast
import contextlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubelab import describe
from kubelab.grading import manifests
from kubelab.grading.errors import AnswerError
from kubelab.grading.jobs import Job, Launcher, Running
from kubelab.grading.script import NAME

LARGEST_FILE = 256 * 1024
LARGEST_OUTPUT = 64 * 1024
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT")


def check_syntax(path: Path) -> None:
    """Raise AnswerError, with the line, if the file is not valid YAML or Python. Runs nothing."""
    text = read(path)
    if path.suffix == ".yaml":
        manifests.parse(text)
        return
    try:
        ast.parse(text, NAME)
    except SyntaxError as error:
        problem = f"this is not valid Python: {error.msg}"
        raise AnswerError(problem, line=error.lineno or 0, source=error.text or "") from None
    except ValueError as error:
        raise AnswerError(f"this is not valid Python: {error}") from None


def read(path: Path) -> str:
    """Return the file's text; AnswerError if it is not text, or too large to be an answer."""
    if path.stat().st_size > LARGEST_FILE:
        raise AnswerError(f"the file is larger than {LARGEST_FILE // 1024} KiB")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise AnswerError(f"the file is not UTF-8 text: {error}") from None


@dataclass(frozen=True)
class Run:
    """What a Python answer printed, and how it ended."""

    exit_code: int
    stdout: str
    stderr: str


class Answer:
    """The answer to one exercise, in a file; nothing runs before it is asked for."""

    def __init__(
        self, path: Path, kubeconfig: dict[str, Any], launcher: Launcher, timeout: float
    ) -> None:
        self.path = path
        self.text = read(path)
        self._kubeconfig = kubeconfig
        self._launcher = launcher
        self._timeout = timeout

    def documents(self) -> list[dict[str, Any]]:
        """Return the documents of a YAML answer, without giving them to a cluster."""
        return [document.content for document in manifests.parse(self.text)]

    def run(
        self,
        kubeconfig: dict[str, Any] | str | None = None,
        timeout: float | None = None,
        arguments: Sequence[str] = (),
    ) -> Run:
        """Run a Python answer to its end: as a script, with the learner's kubeconfig or another.

        AnswerError if it raises an exception or still runs after `timeout` seconds. An exit code
        other than 0 (`sys.exit(3)`) is for the caller to judge.
        """
        limit = timeout or self._timeout
        with self.start(kubeconfig, limit, arguments) as process:
            return process.finish()

    @contextlib.contextmanager
    def start(
        self,
        kubeconfig: dict[str, Any] | str | None = None,
        timeout: float | None = None,
        arguments: Sequence[str] = (),
    ) -> Iterator["Process"]:
        """Run a Python answer in the background until the `with` block ends."""
        with tempfile.TemporaryDirectory(prefix="kubelab-answer-") as directory:
            process = Process(
                self, Path(directory), kubeconfig or self._kubeconfig, timeout or self._timeout
            )
            process.launch(self._launcher, arguments)
            try:
                yield process
            finally:
                process.stop()

    def line(self, number: int) -> str:
        """Return a line of the answer, counted from 1; nothing if there is no such line."""
        lines = self.text.splitlines()
        return lines[number - 1] if 0 < number <= len(lines) else ""


class Process:
    """A Python answer that runs, with its output so far."""

    def __init__(
        self, answer: Answer, directory: Path, kubeconfig: dict[str, Any] | str, timeout: float
    ) -> None:
        self._answer = answer
        self._directory = directory
        self._timeout = timeout
        self._failure = directory / "failure"
        self._kubeconfig = directory / "kubeconfig"
        text = kubeconfig if isinstance(kubeconfig, str) else yaml.safe_dump(kubeconfig)
        self._kubeconfig.touch(mode=0o600)
        self._kubeconfig.write_text(text, encoding="utf-8")
        self._running: Running
        self._stdout = _Output()
        self._stderr = _Output()

    def launch(self, launcher: Launcher, arguments: Sequence[str]) -> None:
        """Start the process."""
        work = self._directory / "work"
        work.mkdir()
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environment |= {
            "HOME": str(work),
            "KUBECONFIG": str(self._kubeconfig),
        }
        files = [str(self._answer.path), str(self._kubeconfig), str(self._failure)]
        job = Job(
            "kubelab.grading.script:run",
            [*files, str(self._timeout), *arguments],
            work,
            environment,
        )
        with self._stdout.writer() as stdout, self._stderr.writer() as stderr:
            self._running = launcher.launch(job, stdout, stderr)

    def alive(self) -> bool:
        """Tell whether the answer still runs."""
        return self._running.wait(0) is None

    def output(self) -> str:
        """Return what it has printed so far."""
        return self._stdout.text()

    def finish(self) -> Run:
        """Wait for its end. AnswerError as `Answer.run`."""
        code = self._running.wait(self._timeout + 5)  # it ends itself at its time-out
        if code is None:
            self._running.stop()
        self._stdout.drain()
        self._stderr.drain()
        self._raise_failure()
        if code is None or code < 0:
            raise AnswerError("your program was killed", look="does it stop its own process?")
        return Run(code, self._stdout.text(), self._stderr.text())

    def stop(self) -> None:
        """Kill the process and what it started."""
        self._running.stop()
        self._stdout.close()
        self._stderr.close()

    def _raise_failure(self) -> None:
        text = self._failure.read_text(encoding="utf-8") if self._failure.exists() else ""
        if text.startswith("Timeout"):
            raise self._endless(text)
        if text:
            raise _exception(self._answer, json.loads(text), self._stdout.text())

    def _endless(self, stack: str) -> AnswerError:
        """Read from faulthandler's stack, innermost frame first, where the answer was."""
        frame = re.search(rf'File "{re.escape(NAME)}", line (\d+)', stack)
        line = int(frame[1]) if frame else 0
        return AnswerError(
            f"your program still ran after {self._timeout:g} s, and was stopped",
            line=line,
            source=self._answer.line(line),
            look="a loop or a watch that never ends: give it a condition or a time-out",
        )


def _exception(answer: Answer, failure: dict[str, Any], output: str) -> AnswerError:
    """Word an exception of the answer; an ApiException by what the API server said."""
    line = int(failure["line"] or 0)
    message = failure["message"]
    look = "the line that is shown"
    if failure["status"] and failure["body"]:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            message = f"{failure['status']}: {json.loads(failure['body'])['message']}"
            look = "what the API server said"
    if failure["status"] == 403:
        look = "your program may use its own namespace only, the one of its kubeconfig's context"
    if printed := describe.short(output.rstrip().rpartition("\n")[2]):
        look += f"; the last line that it printed was: {printed}"
    problem = f"{failure['error']}: {message}"
    return AnswerError(problem, line=line, source=answer.line(line), look=look)


class _Output:
    """Reads a pipe to its end, so that its writer never blocks; keeps the beginning."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self._kept = bytearray()
        self._cut = False
        self._thread = threading.Thread(target=self._read, daemon=True)

    @contextlib.contextmanager
    def writer(self) -> Iterator[int]:
        """Give the writing end to a process; ours is closed when the block ends."""
        try:
            yield self._writer
        finally:
            os.close(self._writer)
        self._thread.start()

    def _read(self) -> None:
        while part := os.read(self._reader, 65536):
            room = LARGEST_OUTPUT - len(self._kept)
            self._kept += part[:room]
            self._cut = self._cut or len(part) > room

    def text(self) -> str:
        """Return what has come so far."""
        text = self._kept.decode("utf-8", "replace")
        return f"{text}\n… (cut after {LARGEST_OUTPUT // 1024} KiB)" if self._cut else text

    def drain(self) -> bool:
        """Wait a moment for what is still in the pipe; tell whether its end was reached."""
        self._thread.join(timeout=1)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Release the pipe, unless a process that escaped from its group still holds it."""
        if self.drain():
            os.close(self._reader)
