"""What the labs and graders of the course import."""

from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Add the magics of the labs to a notebook: `%load_ext kubelab`."""
    from kubelab.exercises import register

    register(shell)
