"""What a shell knows: the one object that interpreter, expansion and builtins share."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, MutableMapping

from kubesim.runtime.commands import Found, find_program
from kubesim.runtime.process import Process
from kubesim.runtime.shell.syntax import Command, Sequence
from kubesim.runtime.signals import LINUX

DEATHS = {
    LINUX["HUP"]: "Hangup",
    LINUX["QUIT"]: "Quit",
    LINUX["ABRT"]: "Aborted",
    LINUX["KILL"]: "Killed",
    LINUX["SEGV"]: "Segmentation fault",
    LINUX["TERM"]: "Terminated",
}
MAX_VALUE = 64 * 1024 * 1024


class Jump(Exception):  # noqa: N818 - control flow, not an error
    """break, continue or return on its way up."""

    def __init__(self, kind: str, count: int) -> None:
        super().__init__(kind, count)
        self.kind = kind
        self.count = count


class ExpansionError(Exception):
    """The word has no value; a non-interactive shell ends with status 2."""


class ShellState(ABC):
    """Variables, functions, jobs and traps, and what builtins ask of the interpreter."""

    def __init__(self, process: Process, name: str, arguments: list[str]) -> None:
        self.process = process
        self.name = name
        self.arguments = arguments
        self.variables: MutableMapping[str, str] = dict(process.environment)
        self.variables.setdefault("PWD", process.directory)
        self.exported = set(process.environment)
        self.functions: dict[str, Command] = {}
        self.options: set[str] = set()
        self.status = 0
        self.substituted = False
        self.background: int | None = None
        self.jobs: dict[int, Process] = {}
        self.traps: dict[int, str] = {}
        self.pending: list[int] = []
        self.signalled = asyncio.Event()
        self.locals: list[dict[str, str | None]] = []
        self._tested = 0
        self._root_pid = process.pid

    def parameter(self, name: str) -> str | None:
        """Return the value of a variable, positional or special parameter."""
        if name.isdigit():
            index = int(name)
            if index == 0:
                return self.name
            return self.arguments[index - 1] if index <= len(self.arguments) else None
        special: dict[str, Callable[[], str | None]] = {
            "?": lambda: str(self.status),
            "$": lambda: str(self._root_pid),
            "!": lambda: None if self.background is None else str(self.background),
            "#": lambda: str(len(self.arguments)),
            "-": lambda: "".join(sorted(self.options)),
            "@": lambda: " ".join(self.arguments) if self.arguments else None,
            "*": lambda: " ".join(self.arguments) if self.arguments else None,
        }
        return special[name]() if name in special else self.variables.get(name)

    def assign(self, name: str, value: str) -> None:
        """Set a variable."""
        self.process.allocate(len(value) - len(self.variables.get(name, "")))
        if len(value) > MAX_VALUE:  # much more than any node would go on with
            raise MemoryError
        self.variables[name] = value

    def environment(self) -> dict[str, str]:
        """Return the variables that children inherit."""
        return {name: value for name, value in self.variables.items() if name in self.exported}

    async def complain(self, message: str) -> None:
        """Write an error message."""
        await self.process.write(f"{self.name}: {message}\n", 2)

    async def report_death(self, child: Process) -> None:
        """Say which signal ended a child, as far as shells say it."""
        if child.killed in DEATHS:
            await self.process.write(DEATHS[child.killed] + "\n", 2)

    def find(self, name: str, environment: Mapping[str, str]) -> Found:
        """Find what a command's name leads to."""
        return find_program(self.process.world, self.process.directory, name, environment)

    @abstractmethod
    async def evaluate(self, source: str) -> None:
        """Execute `source` in this shell."""

    @abstractmethod
    async def call(self, argv: list[str]) -> None:
        """Execute one command whose words are expanded already."""

    @abstractmethod
    async def subshell(self, process: Process, program: Sequence) -> int:
        """Execute `program` as the child `process`, in a copy of this shell."""
