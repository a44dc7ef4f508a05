"""Executes the syntax tree: one Shell is one shell process."""

import contextlib
import fnmatch
from collections.abc import Awaitable, Callable, Iterator, Mapping

from kubesim.runtime.process import Exited, Process, reason
from kubesim.runtime.shell import expansion
from kubesim.runtime.shell.builtins import BUILTINS
from kubesim.runtime.shell.lexer import ShellSyntaxError
from kubesim.runtime.shell.parser import parse
from kubesim.runtime.shell.redirection import cannot_open, open_target
from kubesim.runtime.shell.splitting import quote
from kubesim.runtime.shell.state import ExpansionError, Jump, ShellState
from kubesim.runtime.shell.syntax import (
    AndOr,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Pipeline,
    Redirection,
    Sequence,
    Simple,
    Subshell,
    While,
)
from kubesim.runtime.signals import LINUX
from kubesim.runtime.streams import Null, OpenFile, Pipe

SPECIAL = {
    ":",
    ".",
    "break",
    "continue",
    "eval",
    "exit",
    "export",
    "return",
    "set",
    "trap",
    "unset",
}
MAX_DEPTH = 100


class Shell(ShellState):
    """The execution of commands in one shell."""

    def fork(self, process: Process) -> "Shell":
        """Return a copy for the child `process`; traps are reset in it."""
        child = Shell(process, self.name, list(self.arguments))
        child.variables = dict(self.variables)
        child.exported = set(self.exported)
        child.functions = dict(self.functions)
        child.options = set(self.options)
        child.status = self.status
        child.background = self.background
        child.locals = list(self.locals)
        child._root_pid = self._root_pid
        child._tested = self._tested
        return child

    async def subshell(self, process: Process, program: Sequence) -> int:
        """Execute `program` as the child `process`, in a copy of this shell."""
        return await self.fork(process).run(program)

    # Running

    async def run(self, program: Sequence, final: bool = True) -> int:
        """Execute `program` as all that this process does and return its exit status.

        With `final` the last command takes over the process, as ash does.
        """
        try:
            await self.execute(program, final=final)
        except Exited as exited:
            self.status = exited.status
        except Jump:
            pass
        except ExpansionError as fault:
            await self.complain(str(fault))
            self.status = 2
        return await self.leave()

    async def leave(self) -> int:
        """Run the EXIT trap and return the exit status."""
        status = self.status
        action = self.traps.pop(0, "")
        if action:
            try:
                await self.evaluate(action)
            except Exited as exited:
                return exited.status
        return status

    async def evaluate(self, source: str) -> None:
        """Execute `source` in this shell."""
        await self.execute(parse(source))

    async def execute(self, command: Command, final: bool = False) -> None:
        """Execute `command` and set `status`; then run traps and obey `set -e`."""
        await self.process.checkpoint()
        final = final and not self.traps
        if command.redirections and not isinstance(command, Simple):
            await self._redirected(
                command.redirections, lambda: self._dispatch(command, final=False)
            )
        else:
            await self._dispatch(command, final)
        if self.pending:
            await self._run_traps()
        leaf = isinstance(command, Simple | Pipeline | Subshell)
        if leaf and self.status and "e" in self.options and not self._tested:
            negated = isinstance(command, Pipeline) and command.negated
            if not negated:
                raise Exited(self.status)

    async def _dispatch(self, command: Command, final: bool) -> None:
        match command:
            case Simple():
                await self._simple(command, final)
            case Sequence():
                await self._sequence(command, final)
            case AndOr():
                await self._and_or(command, final)
            case Pipeline():
                await self._pipeline(command)
            case Group():
                await self.execute(command.body, final)
            case Subshell():
                body = command.body
                child = self._spawn(lambda shell: shell.run(body))
                self.status = await child.wait()
            case If():
                await self._if(command, final)
            case While():
                await self._while(command)
            case For():
                await self._for(command)
            case Case():
                await self._case(command, final)
            case Function():
                self.functions[command.name] = command.body
                self.status = 0

    async def _run_traps(self) -> None:
        self.signalled.clear()
        while self.pending:
            action = self.traps.get(self.pending.pop(0))
            status = self.status
            if action:
                await self.evaluate(action)
            self.status = status

    async def _test(self, command: Command) -> bool:
        """Execute `command` where failing is an answer, not an error."""
        self._tested += 1
        try:
            await self.execute(command)
        finally:
            self._tested -= 1
        return self.status == 0

    async def _sequence(self, command: Sequence, final: bool) -> None:
        if not command.items:
            self.status = 0
        for index, (item, background) in enumerate(command.items):
            if background:
                self._start_job(item)
            else:
                await self.execute(item, final and index == len(command.items) - 1)

    def _start_job(self, command: Command) -> None:
        body = Sequence([(command, False)])
        interactive = "i" in self.options
        files = dict(self.process.descriptors)
        if not interactive:
            files[0] = Null()
        child = self._spawn(lambda shell: shell.run(body), files)
        child.handlers[LINUX["INT"]] = None
        self.background = child.pid
        self.jobs[child.pid] = child
        self.status = 0

    async def _and_or(self, command: AndOr, final: bool) -> None:
        pipelines = [("", command.first), *command.rest]
        for index, (operator, pipeline) in enumerate(pipelines):
            if operator and (self.status == 0) != (operator == "&&"):
                continue
            if index == len(pipelines) - 1:
                await self.execute(pipeline, final)
            else:
                await self._test(pipeline)

    async def _pipeline(self, command: Pipeline) -> None:
        if len(command.commands) == 1:
            await self._test(command.commands[0])
        else:
            children = self._connect(command.commands)
            for child in children:
                self.status = await child.wait()
        if command.negated:
            self.status = int(self.status == 0)

    def _connect(self, commands: list[Command]) -> list[Process]:
        children = []
        source: OpenFile | None = None
        for index, command in enumerate(commands):
            files = dict(self.process.descriptors)
            if source:
                files[0] = source
            if index < len(commands) - 1:
                pipe = Pipe()
                files[1], source = pipe.writer, pipe.reader
            children.append(self._spawn(_run_command(command), files))
        return children

    async def _if(self, command: If, final: bool) -> None:
        for condition, body in command.branches:
            if await self._test(condition):
                await self.execute(body, final)
                return
        self.status = 0
        if command.otherwise:
            await self.execute(command.otherwise, final)

    async def _while(self, command: While) -> None:
        status = 0
        while await self._test(command.condition) != command.until:
            if await self._iteration(command.body):
                status = self.status
                break
            status = self.status
        self.status = status

    async def _for(self, command: For) -> None:
        if command.words is None:
            values = list(self.arguments)
        else:
            values = [text for word in command.words for text in await expansion.fields(self, word)]
        self.status = 0
        for value in values:
            self.assign(command.name, value)
            if await self._iteration(command.body):
                break

    async def _iteration(self, body: Sequence) -> bool:
        """Execute a loop's body once; return whether the loop is to end."""
        try:
            await self.execute(body)
        except Jump as jump:
            if jump.kind == "return":
                raise
            if jump.count > 1:
                raise Jump(jump.kind, jump.count - 1) from None
            self.status = 0
            return jump.kind == "break"
        return False

    async def _case(self, command: Case, final: bool) -> None:
        subject = await expansion.text_of(self, command.subject)
        self.status = 0
        for patterns, body in command.branches:
            for pattern in patterns:
                if fnmatch.fnmatchcase(subject, await expansion.pattern_of(self, pattern)):
                    await self.execute(body, final)
                    return

    # Simple commands

    async def _simple(self, command: Simple, final: bool) -> None:
        self.substituted = False
        argv = [text for word in command.words for text in await expansion.fields(self, word)]
        values = [(name, await expansion.text_of(self, word)) for name, word in command.assignments]
        if "x" in self.options:
            await self._trace(argv, values)
        if not argv:
            for name, value in values:
                self.assign(name, value)
            if not self.substituted:
                self.status = 0
            if command.redirections:
                await self._redirected(command.redirections, _nothing)
            return
        if argv[0] == "exec":
            await self._exec(argv[1:], command.redirections)
        elif command.redirections:
            await self._redirected(command.redirections, lambda: self._call(argv, values, final))
        else:
            await self._call(argv, values, final)

    async def _trace(self, argv: list[str], values: list[tuple[str, str]]) -> None:
        words = [f"{name}={quote(value)}" for name, value in values]
        line = " ".join(words + [quote(text) for text in argv])
        await self.process.write(f"+ {line}\n", 2)

    async def _call(self, argv: list[str], values: list[tuple[str, str]], final: bool) -> None:
        if argv[0] in self.functions:
            await self._function(argv, values)
        elif argv[0] in BUILTINS:
            await self._builtin(argv, values)
        else:
            await self._program(argv, self.environment() | dict(values), final)

    async def _builtin(self, argv: list[str], values: list[tuple[str, str]]) -> None:
        before = {name: self.variables.get(name) for name, _ in values}
        for name, value in values:
            self.assign(name, value)
        self.status = await BUILTINS[argv[0]](self, argv)
        if argv[0] not in SPECIAL:
            self._restore(before)

    def _restore(self, before: Mapping[str, str | None]) -> None:
        for name, old in before.items():
            self.variables.pop(name, None)
            if old is not None:
                self.variables[name] = old

    async def _function(self, argv: list[str], values: list[tuple[str, str]]) -> None:
        if len(self.locals) > MAX_DEPTH:
            raise Exited(128 + LINUX["SEGV"])
        saved, self.arguments = self.arguments, argv[1:]
        for name, value in values:
            self.assign(name, value)
        self.locals.append({})
        try:
            await self.execute(self.functions[argv[0]])
        except Jump as jump:
            if jump.kind != "return":
                raise
            self.status = jump.count
        finally:
            self.arguments = saved
            self._restore(self.locals.pop())

    async def _program(self, argv: list[str], environment: dict[str, str], final: bool) -> None:
        found = self.find(argv[0], environment)
        if found.program is None:
            await self.complain(f"{argv[0]}: {found.message}")
            self.status = found.status
            return
        if final:
            self.process.shell_line = self.process.argv
            raise Exited(await self.process.execute(found.program, argv, environment))
        with _forking():
            child = self.process.spawn(found.program, argv, environment)
        child.shell_line = self.process.argv
        self.status = await child.wait()
        await self.report_death(child)

    def _spawn(
        self,
        work: Callable[["Shell"], Awaitable[int]],
        files: dict[int, OpenFile] | None = None,
    ) -> Process:
        async def program(process: Process) -> int:
            return await work(self.fork(process))

        with _forking():
            return self.process.spawn(program, self.process.argv, None, files)

    async def call(self, argv: list[str]) -> None:
        """Execute one command whose words are expanded already."""
        await self._call(argv, [], final=False)

    async def _exec(self, argv: list[str], redirections: list[Redirection]) -> None:
        if not await self._redirect(redirections):
            raise Exited(1)
        self.status = 0
        if not argv:
            return
        environment = self.environment()
        found = self.find(argv[0], environment)
        if found.program is None:
            await self.complain(f"exec: line 0: {argv[0]}: {found.message}")
            raise Exited(found.status)
        raise Exited(await self.process.execute(found.program, argv, environment))

    # Redirections

    async def _redirected(
        self, redirections: list[Redirection], action: Callable[[], Awaitable[None]]
    ) -> None:
        """Do `action` with redirections in force, then undo them."""
        saved = {number: file.acquire() for number, file in self.process.descriptors.items()}
        try:
            if await self._redirect(redirections):
                await action()
            else:
                self.status = 1
        finally:
            for number in set(self.process.descriptors) | set(saved):
                self.process.replace_descriptor(number, saved.get(number))
            for file in saved.values():
                file.release()

    async def _redirect(self, redirections: list[Redirection]) -> bool:
        for redirection in redirections:
            if redirection.operator.startswith("<<"):
                target = await expansion.text_of(self, redirection.target)
            else:
                target = " ".join(await expansion.fields(self, redirection.target))
            try:
                file = open_target(self.process, redirection.operator, target)
            except OSError as error:
                await self.complain(cannot_open(redirection.operator, target, error))
                return False
            self.process.replace_descriptor(redirection.descriptor, file)
        return True


def _run_command(command: Command) -> Callable[[Shell], Awaitable[int]]:
    return lambda shell: shell.run(Sequence([(command, False)]))


@contextlib.contextmanager
def _forking() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExpansionError(f"can't fork: {reason(error)}") from error


async def _nothing() -> None:
    return


async def run_script(process: Process, path: str, arguments: list[str]) -> int:
    """Run the shell script at `path` in `process`."""
    source = process.files.read(process.path(path)).decode(errors="surrogateescape")
    return await run_source(Shell(process, path, arguments), source, final=False)


async def run_source(shell: Shell, source: str, final: bool) -> int:
    """Run `source` as all that `shell` does."""
    try:
        program = parse(source)
    except ShellSyntaxError as fault:
        await shell.complain(f"syntax error: {fault}")
        return 2
    return await shell.run(program, final)
