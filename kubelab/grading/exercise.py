"""What a grader says about its exercise."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Exercise:
    """The facts that a grader states, as its module's global `exercise`.

    `answer` is the kind of file that answers it; `needs` the oldest Kubernetes version on which
    it can be done, `capabilities` what the cluster's engine must be able to do; `timeout` is how
    many seconds a Python answer may run.
    """

    title: str
    answer: Literal["yaml", "py"]
    points: int = 10
    hints: Sequence[str] = ()
    needs: tuple[int, int] = (1, 20)
    capabilities: Sequence[str] = ()
    timeout: float = 30


def load(grader: Path) -> Exercise:
    """Return the Exercise that a grader module states."""
    spec = importlib.util.spec_from_file_location(f"_kubelab_grader_{grader.stem}", grader)
    if spec is None or spec.loader is None:
        raise ImportError(f"{grader} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    exercise: Exercise = module.exercise
    return exercise
