"""Grades one answer: a pytest session of one grader, as a job in a process of its own."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from kubelab import clusters
from kubelab.course import Course
from kubelab.grading import plugin


def run(course: str, exercise: str, answers: str, report: str) -> None:
    """Run the exercise's grader, write the report, and exit with pytest's code."""
    # Plugins of the environment would cost time and could change how an answer is graded.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    grader = Course(Path(course)).grader(exercise)
    options = [
        "-c", os.devnull, "--rootdir", course, "--confcutdir", str(grader.parents[1]),
        "--import-mode", "importlib", "-p", "no:cacheprovider",
        "--answers", answers, "--report", report,
    ]  # fmt: skip
    sys.exit(pytest.main([*options, str(grader)], plugins=[plugin, _LearnersCluster()]))


class _LearnersCluster:
    """Gives graders the cluster that the labs use."""

    @pytest.fixture(scope="session")
    def cluster(self) -> Any:
        """The cluster that the environment names, started if need be."""
        return clusters.start()
