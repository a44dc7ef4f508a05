"""Errors that teach: what was wrong, and what to do next."""


class ClusterError(Exception):
    """A cluster could not be had; `problem` says why, `next_step` what mends it."""

    def __init__(self, problem: str, next_step: str = "") -> None:
        self.problem = problem
        self.next_step = next_step
        super().__init__(f"{problem}\nNext: {next_step}" if next_step else problem)

    def _render_traceback_(self) -> list[str]:
        """Show only the message in a notebook (IPython calls this instead of printing a stack)."""
        return [f"{type(self).__name__}: {self}"]


class CapabilityMissing(ClusterError):  # noqa: N818 - it names what is missing, not an accident
    """The cluster's engine cannot do what was asked; the message says why."""
