"""Serving connections from within a process."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from kubesim.network.fabric import Connection, Listener
from kubesim.runtime.process import Process
from kubesim.runtime.signals import LINUX

Handler = Callable[[Connection], Awaitable[None]]


def listen(process: Process, port: int, address: str = "0.0.0.0") -> Listener:  # noqa: S104
    """Listen until the process ends; OSError EADDRINUSE if the port is taken."""
    listener = process.network.listen(port, address)
    process.at_exit.append(listener.close)
    return listener


def stopped_by(process: Process, *signals: str) -> asyncio.Event:
    """Return what is set when one of these signals comes, from now on no longer deadly."""
    stopped = asyncio.Event()
    for name in signals:
        process.handlers[LINUX[name]] = stopped.set
    return stopped


async def serve_until(stopped: asyncio.Event, listener: Listener, handle: Handler) -> None:
    """Handle every connection in a task of its own until that is set."""
    serving = asyncio.create_task(serve(listener, handle))
    try:
        await stopped.wait()
    finally:
        serving.cancel()


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
