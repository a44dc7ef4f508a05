"""The result of grading one answer: as text, as HTML, as JSON."""

import html
import textwrap
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

PASSED = "passed"
FAILED = "failed"
ERROR = "error in your answer"
NOT_ATTEMPTED = "not attempted"
SKIPPED = "skipped"
BROKEN = "not graded"
MARKS = {PASSED: "✓", FAILED: "✗", ERROR: "!", NOT_ATTEMPTED: "○", SKIPPED: "–", BROKEN: "?"}
# The state of the whole is the first of these that one of its checks has.
_ORDER = (BROKEN, NOT_ATTEMPTED, ERROR, FAILED, PASSED, SKIPPED)


@dataclass(frozen=True)
class CheckResult:
    """One check: its name, its state, the message if it did not pass, its share of the points."""

    name: str
    state: str
    message: str = ""
    points: float = 0
    max: float = 0


@dataclass(frozen=True)
class Verdict:
    """One graded answer. `engine` and `version` are of the cluster, `date` is ISO 8601."""

    id: str
    title: str
    state: str
    message: str = ""
    points: float = 0
    max: float = 0
    checks: list[CheckResult] = field(default_factory=list)
    engine: str = ""
    version: str = ""
    date: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return what a report holds about this answer."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> "Verdict":
        """Return the verdict that `as_dict` wrote."""
        return cls(**{**found, "checks": [CheckResult(**check) for check in found["checks"]]})

    def line(self) -> str:
        """Return the result in one line, as a class's list has it."""
        points = f"{self.points:g}/{self.max:g}"
        return f"{MARKS[self.state]} {self.id:36} {points:>7}  {self.summary()}"

    def summary(self) -> str:
        """Say in a few words how the answer did."""
        if self.state not in (PASSED, FAILED):
            return self.state
        passed = sum(1 for check in self.checks if check.state == PASSED)
        if self.state == PASSED:
            return "passed: all checks passed"
        return f"failed: {passed} of {len(self.checks)} checks passed"

    def __str__(self) -> str:
        points = f"{self.points:g} of {self.max:g} points" if self.max else ""
        lines = [" · ".join(filter(None, [self.id, self.title, self.summary(), points]))]
        if self.message:
            lines.append(textwrap.indent(self.message, "  "))
        for check in self.checks if self.state in (PASSED, FAILED) else ():
            lines.append(f"  {MARKS[check.state]} {check.state}: {check.name}")
            if check.message:
                lines.append(textwrap.indent(check.message, " " * 6))
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Return HTML that has no colours of its own, so that it fits a light or dark page."""
        points = f" · {self.points:g} of {self.max:g} points" if self.max else ""
        title = f"{self.title} · " if self.title else ""
        summary = (
            f"{MARKS[self.state]} {title}<strong>{html.escape(self.summary())}</strong>{points}"
        )
        parts = [f"<p>{summary}</p>", _block(self.message)]
        if self.state in (PASSED, FAILED):
            parts += ["<ul>", *map(_item, self.checks), "</ul>"]
        body = "".join(parts)
        border = "border-left: 4px solid currentColor; padding-left: 1em"
        return f'<div class="kubelab-verdict" style="{border}">{body}</div>'


def _item(check: CheckResult) -> str:
    name = f"{MARKS[check.state]} {check.state}: {html.escape(check.name)}"
    return f'<li style="list-style: none">{name}{_block(check.message)}</li>'


def _block(message: str) -> str:
    if not message:
        return ""
    return f'<pre style="white-space: pre-wrap">{html.escape(message)}</pre>'


def combine(
    name: str, title: str, points: float, checks: Iterable[tuple[CheckResult, float]], **facts: str
) -> Verdict:
    """Make the verdict of an exercise worth `points` from its checks with their weights."""
    weighted = list(checks)
    total = sum(weight for _, weight in weighted) or 1
    results = [
        CheckResult(
            check.name,
            check.state,
            check.message,
            points=points * weight / total if check.state == PASSED else 0,
            max=points * weight / total,
        )
        for check, weight in weighted
    ]
    states = {check.state for check in results}
    state = next((state for state in _ORDER if state in states), BROKEN)
    shown = next((c.message for c in results if c.state == state), "")
    earned = sum(check.points for check in results) if state in (PASSED, FAILED) else 0
    return Verdict(
        id=name,
        title=title,
        state=state,
        message="" if state in (PASSED, FAILED) else shown,
        points=round(earned, 2),
        max=points,
        checks=results,
        **facts,
    )
