"""What can be broken in a cluster on command, on engines that can."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from kubelab import durations

Control = Callable[..., dict[str, Any]]


class Faults:
    """The faults of one cluster: each has a name by which it is listed and undone."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def kinds(self) -> dict[str, dict[str, Any]]:
        """Return what can be broken: by kind, its target and its effect."""
        kinds: dict[str, dict[str, Any]] = self._control("faults", method="GET")["kinds"]
        return kinds

    def active(self) -> list[dict[str, Any]]:
        """Return what is broken now: name, kind, target, seconds, since."""
        active: list[dict[str, Any]] = self._control("faults", method="GET")["faults"]
        return active

    def inject(self, kind: str, target: str, duration: float | str | None = None) -> str:
        """Break something; return the fault's name.

        `duration` is how slow or how skewed, for kinds that are. Raises ClusterError that names
        the kinds, or the targets, there are.
        """
        seconds = None if duration is None else durations.seconds(duration)
        body = {"kind": kind, "target": target, "seconds": seconds}
        name: str = self._control("faults", body)["fault"]["name"]
        return name

    def undo(self, name: str) -> None:
        """Make a fault good again."""
        self._control(f"faults/{quote(name, safe='')}", method="DELETE")

    def undo_all(self) -> None:
        """Make everything good again, the latest first."""
        for fault in reversed(self.active()):
            self.undo(fault["name"])
