"""Programs that are a part of the cluster itself: what runs in the containers of kube-system.

The process is the component: while it lives the component works, its log is what the component
says, and its health endpoints answer the kubelet's probes.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from kubesim.clientgo import klog
from kubesim.network.fabric import Connection
from kubesim.runtime import http
from kubesim.runtime.process import Process, Program
from kubesim.runtime.serving import listen, serve
from kubesim.runtime.signals import LINUX

log = logging.getLogger(__name__)

Answer = tuple[int, str]  # status code and body
Answers = Callable[[str], Answer]  # for a path


class GiveUpError(Exception):
    """The component ends itself; the message is its last words."""


@dataclass
class Daemon:
    """The process that a component runs in."""

    process: Process
    log: klog.Output

    @property
    def node(self) -> str:
        """The name of the node that it runs on."""
        return self.process.network.node

    @property
    def ip(self) -> str:
        """Its address."""
        return self.process.network.ip


Work = Callable[[Daemon], Awaitable[None]]
PLAIN = (53, 2381, 8080, 8181, 9153, 10256)  # ports of components that do not speak TLS


def healthy(_path: str) -> Answer:
    """Say that all is well."""
    return 200, "ok"


def daemon(work: Work, ports: Mapping[int, Answers]) -> Program:
    """Return the program that does `work` until it is told to end, and answers on `ports`."""

    async def run(process: Process) -> int:
        lines: asyncio.Queue[str] = asyncio.Queue()
        klog.OUTPUT.set(lines.put_nowait)
        work_done = asyncio.ensure_future(_work(process, work, ports))
        writing = asyncio.ensure_future(_write(process, lines))
        process.handlers[LINUX["TERM"]] = lambda: _cancel(work_done)
        try:
            await asyncio.wait({work_done})
        finally:
            work_done.cancel()
            writing.cancel()
            await asyncio.gather(work_done, writing, return_exceptions=True)
        if work_done.cancelled():
            return 0
        problem = work_done.exception()
        if isinstance(problem, ExceptionGroup):
            problem = problem.exceptions[0]
        if not isinstance(problem, GiveUpError):
            log.error("%s has failed", process.name, exc_info=problem)
        await process.write(f"{problem}\n", 2)
        return 1

    return run


async def _work(process: Process, work: Work, ports: Mapping[int, Answers]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for port, answers in ports.items():
            listener = listen(process, port)
            listener.secure = port not in PLAIN
            tasks.create_task(serve(listener, partial(_answer, say=answers)))
        write = klog.OUTPUT.get()
        assert write
        await work(Daemon(process, write))


def _cancel(task: "asyncio.Future[None]") -> None:
    task.cancel()


async def _write(process: Process, lines: "asyncio.Queue[str]") -> None:
    while True:
        await process.write(await lines.get(), 2)


async def _answer(connection: Connection, say: Answers) -> None:
    request = await http.read_head(connection)
    if request is None:
        return
    status, text = say(request.target.partition("?")[0])
    body = text.encode()
    headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
    with contextlib.suppress(OSError):
        await connection.write(http.head(status, headers) + body)
