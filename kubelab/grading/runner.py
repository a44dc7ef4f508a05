"""Grades answers one by one, each in a process apart from the caller's, within a deadline."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kubelab.course import Course
from kubelab.grading import verdict
from kubelab.grading.forkserver import SOCKET_VARIABLE, ForkServer
from kubelab.grading.jobs import Job, Launcher
from kubelab.grading.launchers import launcher
from kubelab.grading.verdict import Verdict

SECONDS = 300.0  # for everything: an exercise may create a cluster
LOG_LINES = 20


class Runner:
    """Grades exercises of one course. `close` it, or use it in a `with` block."""

    def __init__(self, course: Course, launch: Launcher | None = None) -> None:
        self._course = course
        self._launcher = launch or launcher()

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def warm_up(self) -> None:
        """Begin with the imports now, in another process, so that the first grading is fast too."""
        if isinstance(self._launcher, ForkServer):
            self._launcher.start()

    def close(self) -> None:
        """Stop what still runs."""
        self._launcher.close()

    def grade(
        self,
        exercise: str,
        answers: Path,
        *,
        environment: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> Verdict:
        """Grade the answer in `answers` (laid out like solutions/) on the labs' cluster.

        `environment` (default: this process's) says which cluster that is. After `seconds`, or
        when the caller is interrupted, the grader and the answer are killed.
        """
        self._course.grader(exercise)
        with tempfile.TemporaryDirectory(prefix="kubelab-grading-") as name:
            directory = Path(name)
            report, log = directory / "report.json", directory / "log"
            arguments = [str(self._course.root), exercise, str(answers.absolute()), str(report)]
            job = Job(
                "kubelab.grading.session:run",
                arguments,
                directory,
                self._environment(os.environ if environment is None else environment),
            )
            finished = self._finish(job, log, seconds)
            return _read(exercise, report, log, f"{seconds:g} s" if not finished else "")

    def _environment(self, given: Mapping[str, str]) -> dict[str, str]:
        environment = dict(given)
        if isinstance(self._launcher, ForkServer):
            self._launcher.start()
            environment[SOCKET_VARIABLE] = self._launcher.address
        return environment

    def _finish(self, job: Job, log: Path, seconds: float) -> bool:
        """Run the job to its end or for `seconds`; tell whether it came to its end."""
        with log.open("wb") as file:
            running = self._launcher.launch(job, file.fileno(), file.fileno())
        try:
            return running.wait(seconds) is not None
        finally:
            running.stop()


def _read(exercise: str, report: Path, log: Path, out_of_time: str) -> Verdict:
    """Return the verdict of a report; without one, a verdict that says what happened instead."""
    found = json.loads(report.read_text(encoding="utf-8")) if report.exists() else []
    if found:
        return Verdict.from_dict(found[0])
    if out_of_time:
        message = f"grading was not finished after {out_of_time}, and was stopped"
    else:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        message = "\n".join(["the grader did not finish; this is not your answer's fault:", *lines])
    return Verdict(exercise, "", verdict.BROKEN, message)
