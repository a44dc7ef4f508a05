"""Serving connections from within a process."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from kubesim.network.fabric import Connection, Listener
from kubesim.runtime.process import Process

Handler = Callable[[Connection], Awaitable[None]]


def listen(process: Process, port: int, address: str = "0.0.0.0") -> Listener:  # noqa: S104
    """Listen until the process ends; OSError EADDRINUSE if the port is taken."""
    listener = process.network.listen(port, address)
    process.at_exit.append(listener.close)
    return listener


async def serve(listener: Listener, handle: Handler) -> None:
    """Handle every connection in a task of its own, for ever."""
    async with asyncio.TaskGroup() as tasks:
        while True:
            tasks.create_task(_guarded(handle, await listener.accept()))


async def _guarded(handle: Handler, connection: Connection) -> None:
    try:
        with contextlib.suppress(OSError):  # the client is gone
            await handle(connection)
    finally:
        connection.close()
