"""Rows of measurements, as they are printed and as README.md shows them."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from statistics import median

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


@dataclass(frozen=True)
class Row:
    """One promise and what was measured: seconds, or what `unit` says."""

    what: str
    goal: str
    embedded: list[float]
    real: list[float] | None = None
    unit: str = "s"

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """What the row shows: medians, and the embedded one's over the real one's."""
        ratio = f"{median(self.embedded) / median(self.real):.2f}" if self.real else ""
        real = self._show(self.real) if self.real else ""
        return self.what, self.goal, self._show(self.embedded), real, ratio

    def _show(self, values: list[float]) -> str:
        scale = 1000 if self.unit == "ms" else 1
        shown = f"{median(values) * scale:.3g} {self.unit}"
        if len(values) < 2:
            return shown
        return f"{shown} ({min(values) * scale:.3g} to {max(values) * scale:.3g})"


HEADINGS = ("what", "goal", "embedded, median (range)", "real, median (range)", "ratio")


def show(row: Row) -> None:
    """Print a row as soon as it is there."""
    what, goal, embedded, real, ratio = row.cells
    print(f"{what:<58}{goal:>12}  {embedded:<30}{real:<30}{ratio}", flush=True)


def write(rows: list[Row], real: str) -> None:
    """Put the table between its marks in README.md."""
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    assert mark, f"README.md has no {BEGIN} … {END}"
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(row.cells for row in rows)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[2]
    told = f"Python {platform.python_version()}, {cores} cores, load average {load:.0f}; {real}."
    README.write_text(f"{before}{BEGIN}\n{told}\n\n{table}\n{END}{after}")
