"""One reference answer graded, as a notebook does."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Row
from benchmarks.timing import timed

ROOT = Path(__file__).resolve().parents[1]
RUNS = 5


def measure() -> Iterator[Row]:
    """Grade it several times: the first time is cold."""
    from kubelab.course import Course
    from kubelab.grading.runner import Runner

    def grade() -> None:
        verdict = runner.grade("pod/shared-volume", ROOT / "solutions")
        assert verdict.state == "passed", verdict

    with Runner(Course(ROOT)) as runner:
        yield Row("grade an answer, first time", "", timed(grade, 1))
        yield Row("grade it again", "", timed(grade, RUNS))
