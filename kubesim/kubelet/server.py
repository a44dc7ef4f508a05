"""What the API server asks of a kubelet: logs and commands in containers (the real port 10250)."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol


class ExecSession(Protocol):
    """A command running in a container, and the ends of its standard streams."""

    @property
    def stdout(self) -> AsyncIterator[bytes]:
        """What the command writes; ends when the command is done with it."""

    @property
    def stderr(self) -> AsyncIterator[bytes]:
        """Likewise for standard error; empty on a terminal."""

    async def write_stdin(self, data: bytes) -> None:
        """Send input."""

    async def close_stdin(self) -> None:
        """Let the command see the end of its input."""

    async def wait(self) -> int:
        """Wait for the end and return the exit code."""

    def kill(self) -> None:
        """End the command, because the client is gone."""


class KubeletServer(Protocol):
    """The part of a kubelet that the API server connects to."""

    def logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool,
        tail_lines: int | None,
        since_seconds: int | None,
        since_time: datetime | None,
        timestamps: bool,
        previous: bool,
        limit_bytes: int | None,
    ) -> AsyncIterator[bytes]:
        """Stream a container's log; raises StatusError before the first byte if there is none."""

    async def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: list[str],
        *,
        stdin: bool,
        tty: bool,
    ) -> ExecSession:
        """Start a command in a container; raises StatusError if the container does not run."""
