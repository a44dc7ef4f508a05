"""The pytest plugin of the graders: its options, its words, its report.

A module with a global `exercise` is a grader, and each of its tests a check. What pytest shows
of a failed check is the teaching message alone; a traceback means that the grader is at fault.
"""

import json
from collections.abc import Generator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubelab import course
from kubelab.clusters.errors import ClusterError
from kubelab.grading import verdict
from kubelab.grading.errors import AnswerError, NotAttempted
from kubelab.grading.exercise import Exercise
from kubelab.grading.verdict import CheckResult, Verdict
from kubelab.waiting import WaitTimeout

_PROPERTY = "kubelab"
_STATES: dict[type[Exception], str] = {
    NotAttempted: verdict.NOT_ATTEMPTED,
    AnswerError: verdict.ERROR,
    AssertionError: verdict.FAILED,
    WaitTimeout: verdict.FAILED,
    ClusterError: verdict.BROKEN,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of grading."""
    group = parser.getgroup("grading", "grading answers to the course's exercises")
    group.addoption(
        "--answers",
        metavar="DIR",
        help="grade the answers in DIR, laid out like solutions/ (default: solutions/ itself)",
    )
    group.addoption("--report", metavar="FILE", help="write the results to FILE as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and the collector of results."""
    config.addinivalue_line("markers", "weight(n): how much a check counts (default 1)")
    answers = config.getoption("answers")
    if answers and not Path(answers).is_dir():
        raise pytest.UsageError(f"--answers {answers}: there is no such directory")
    if answers and config.option.verbose < 0:
        # A teacher's `-q`: one line an exercise is all that a class needs.
        config.option.tbstyle, config.option.reportchars = "no", ""
    config.pluginmanager.register(Results(config), "kubelab-results")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put a check's teaching message in the place of its traceback, and note its state."""
    report = yield
    exercise = getattr(getattr(item, "module", None), "exercise", None)
    if not isinstance(exercise, Exercise) or (report.when != "call" and report.passed):
        return report
    state, message = _outcome(report, call)
    if report.failed and call.excinfo and isinstance(call.excinfo.value, tuple(_STATES)):
        report.longrepr = message
    if report.when != "teardown":
        report.user_properties.append((_PROPERTY, _facts(item, exercise, state, message)))
    return report


def _outcome(report: pytest.TestReport, call: pytest.CallInfo[None]) -> tuple[str, str]:
    """Return the state and the message of a check."""
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        return verdict.SKIPPED, reason.removeprefix("Skipped: ")
    if report.passed or call.excinfo is None:
        return verdict.PASSED, ""
    error = call.excinfo.value
    for kind, state in _STATES.items():
        if isinstance(error, kind):
            return state, str(error)
    problem = f"{type(error).__name__}: {error}"
    return verdict.BROKEN, f"the grader is at fault, not your answer: {problem}"


def _facts(item: pytest.Item, exercise: Exercise, state: str, message: str) -> dict[str, Any]:
    """Return what the report needs to know of a check: plain values, which pytest-xdist carries."""
    marker = item.get_closest_marker("weight")
    cluster = getattr(item, "funcargs", {}).get("able_cluster")
    described = (getattr(getattr(item, "function", None), "__doc__", "") or "").strip()
    return {
        "id": course.exercise_name(item.path),
        "title": exercise.title,
        "points": exercise.points,
        "name": described.partition("\n")[0] or item.name.removeprefix("test_").replace("_", " "),
        "state": state,
        "message": message,
        "weight": marker.args[0] if marker else 1,
        "engine": cluster.engine if cluster else "",
        "version": cluster.version if cluster else "",
    }


class Results:
    """Collects the checks of a session, and tells them by exercise."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._checks: dict[str, list[dict[str, Any]]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the facts from a report (which may come from another process)."""
        for key, facts in report.user_properties:
            if key == _PROPERTY and report.when != "teardown" and isinstance(facts, dict):
                self._checks.setdefault(facts["id"], []).append(facts)

    def verdicts(self) -> list[Verdict]:
        """Return the results, in the order in which they came."""
        return [_verdict(checks) for checks in self._checks.values()]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print one line an exercise."""
        verdicts = self.verdicts()
        if verdicts:
            terminalreporter.section("exercises")
        for one in verdicts:
            terminalreporter.write_line(one.line())

    def pytest_sessionfinish(self) -> None:
        """Write the report."""
        path = self._config.getoption("report")
        if path and not hasattr(self._config, "workerinput"):
            report = [one.as_dict() for one in self.verdicts()]
            text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
            Path(path).write_text(text, encoding="utf-8")


def _verdict(checks: Iterable[dict[str, Any]]) -> Verdict:
    facts = list(checks)
    last = facts[-1]
    results = [
        (CheckResult(one["name"], one["state"], one["message"]), one["weight"]) for one in facts
    ]
    return verdict.combine(
        last["id"],
        last["title"],
        last["points"],
        results,
        engine=last["engine"],
        version=last["version"],
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
