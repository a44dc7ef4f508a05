"""The commands that a shell executes itself."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable

from kubesim.runtime.process import Exited, Process, reason
from kubesim.runtime.shell.arithmetic import ExpressionError, evaluate
from kubesim.runtime.shell.splitting import quote, separation
from kubesim.runtime.shell.state import Jump, ShellState
from kubesim.runtime.signals import signal_name, signal_number

Builtin = Callable[[ShellState, list[str]], Awaitable[int]]
BUILTINS: dict[str, Builtin] = {}
KEYWORDS = {"if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case"}
KEYWORDS |= {"esac", "{", "}", "!"}
APPLETS = ("echo", "printf", "test", "[", "[[", "true", "false", "kill")


def builtin(*names: str) -> Callable[[Builtin], Builtin]:
    """Register a function under `names`."""

    def register(function: Builtin) -> Builtin:
        BUILTINS.update(dict.fromkeys(names, function))
        return function

    return register


@builtin(*APPLETS)
async def applet(shell: ShellState, argv: list[str]) -> int:
    """Run one of the programs that are also built in, without a process of its own."""
    process = shell.process
    saved, process.argv = process.argv, argv
    try:
        return await process.world.programs[argv[0]](process)
    except BrokenPipeError:
        raise
    except OSError as error:
        await shell.complain(f"write error: {reason(error)}")
        return 1
    finally:
        process.argv = saved


@builtin(":")
async def colon(_shell: ShellState, _argv: list[str]) -> int:
    """Do nothing."""
    return 0


@builtin("cd", "chdir")
async def cd(shell: ShellState, argv: list[str]) -> int:
    """Change the directory."""
    target = argv[1] if len(argv) > 1 else shell.variables.get("HOME", "/")
    if target == "-":
        target = shell.variables.get("OLDPWD", shell.process.directory)
        await shell.process.print(target)
    path = shell.process.path(target)
    if not shell.process.files.is_directory(path):
        exists = shell.process.files.exists(path)
        why = "Not a directory" if exists else "No such file or directory"
        await shell.complain(f"cd: line 0: can't cd to {target}: {why}")
        return 2
    shell.variables["OLDPWD"] = shell.process.directory
    shell.variables["PWD"] = shell.process.directory = path
    return 0


@builtin("pwd")
async def pwd(shell: ShellState, _argv: list[str]) -> int:
    """Print the directory."""
    await shell.process.print(shell.process.directory)
    return 0


@builtin("exit")
async def exit_(shell: ShellState, argv: list[str]) -> int:
    """End the shell."""
    raise Exited(int(argv[1]) & 255 if argv[1:] and argv[1].isdigit() else shell.status)


@builtin("break", "continue", "return")
async def jump(shell: ShellState, argv: list[str]) -> int:
    """Leave loops or a function."""
    default = shell.status if argv[0] == "return" else 1
    count = int(argv[1]) if argv[1:] and argv[1].isdigit() else default
    raise Jump(argv[0], count)


@builtin("eval")
async def eval_(shell: ShellState, argv: list[str]) -> int:
    """Execute the arguments as shell text."""
    shell.status = 0
    await shell.evaluate(" ".join(argv[1:]))
    return shell.status


@builtin(".", "source")
async def source(shell: ShellState, argv: list[str]) -> int:
    """Execute a file in this shell."""
    try:
        text = await shell.process.read_all(argv[1])
    except OSError as error:
        await shell.complain(f".: can't open '{argv[1]}': {reason(error)}")
        raise Exited(2) from None
    shell.status = 0
    await shell.evaluate(text.decode(errors="surrogateescape"))
    return shell.status


@builtin("export", "readonly")
async def export(shell: ShellState, argv: list[str]) -> int:
    """Mark variables for the environment of children."""
    names = [text for text in argv[1:] if text != "-p"]
    if not names:
        for name in sorted(shell.exported & set(shell.variables)):
            await shell.process.print(f"export {name}={quote(shell.variables[name])}")
    for text in names:
        name, assigned, value = text.partition("=")
        if assigned:
            shell.assign(name, value)
        if argv[0] == "export":
            shell.exported.add(name)
    return 0


@builtin("local")
async def local(shell: ShellState, argv: list[str]) -> int:
    """Give variables back their old values when the function returns."""
    for text in argv[1:]:
        name, assigned, value = text.partition("=")
        if shell.locals:
            shell.locals[-1].setdefault(name, shell.variables.get(name))
        if assigned:
            shell.assign(name, value)
    return 0


@builtin("unset")
async def unset(shell: ShellState, argv: list[str]) -> int:
    """Forget variables or functions."""
    names = [name for name in argv[1:] if not name.startswith("-")]
    for name in names:
        if "-f" in argv or name not in shell.variables:
            shell.functions.pop(name, None)
        shell.variables.pop(name, None)
        shell.exported.discard(name)
    return 0


@builtin("set")
async def set_(shell: ShellState, argv: list[str]) -> int:
    """Set options and arguments."""
    words = argv[1:]
    if not words:
        for name in sorted(shell.variables):
            await shell.process.print(f"{name}={quote(shell.variables[name])}")
    while words:
        word = words.pop(0)
        if word == "--":
            shell.arguments = words
            break
        if word[0] not in "+-" or len(word) < 2:
            shell.arguments = [word, *words]
            break
        if word[1:] == "o":
            name = words.pop(0) if words else ""
            letters = {"errexit": "e", "nounset": "u", "xtrace": "x"}.get(name, "")
        else:
            letters = word[1:]
        change = shell.options.update if word[0] == "-" else shell.options.difference_update
        change(letters)
    return 0


@builtin("shift")
async def shift(shell: ShellState, argv: list[str]) -> int:
    """Drop the first arguments."""
    count = int(argv[1]) if argv[1:] and argv[1].isdigit() else 1
    if count > len(shell.arguments):
        return 1
    del shell.arguments[:count]
    return 0


@builtin("trap")
async def trap(shell: ShellState, argv: list[str]) -> int:
    """Say what to do on signals; EXIT is number 0."""
    if not argv[1:]:
        for number, action in shell.traps.items():
            name = signal_name(number) if number else "EXIT"
            await shell.process.print(f"trap -- {quote(action)} {name}")
        return 0
    action, *names = argv[1:] if len(argv) > 2 else ["-", *argv[1:]]
    for name in names:
        found = signal_number(name)
        if found is None:
            await shell.complain(f"trap: line 0: {name}: invalid signal specification")
            return 1
        _set_trap(shell, found, action)
    return 0


def _set_trap(shell: ShellState, number: int, action: str) -> None:
    shell.traps.pop(number, None)
    shell.process.handlers.pop(number, None)
    if action == "-":
        return
    shell.traps[number] = action
    if number:
        shell.process.handlers[number] = (lambda: _receive(shell, number)) if action else None


def _receive(shell: ShellState, number: int) -> None:
    shell.pending.append(number)
    shell.signalled.set()


@builtin("wait")
async def wait(shell: ShellState, argv: list[str]) -> int:
    """Wait for background jobs; a trapped signal ends the waiting."""
    wanted = [int(pid) for pid in argv[1:] if pid.isdigit()] or list(shell.jobs)
    status = 0
    for pid in wanted:
        job = shell.jobs.get(pid)
        if job is None:
            status = 127
            continue
        status = await _wait_for(shell, job)
        if shell.pending:
            return 128 + shell.pending[0]
        del shell.jobs[pid]
    return status if argv[1:] else 0


async def _wait_for(shell: ShellState, job: Process) -> int:
    tasks = [asyncio.ensure_future(job.wait()), asyncio.ensure_future(shell.signalled.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    if job.status is None:
        return 0
    await shell.report_death(job)
    return job.status


@builtin("jobs")
async def jobs(shell: ShellState, _argv: list[str]) -> int:
    """List background jobs."""
    for index, job in enumerate(shell.jobs.values(), 1):
        state = "Running" if job.status is None else f"Done({job.status})"
        await shell.process.print(f"[{index}]  {state:<22}  {' '.join(job.argv)}")
    return 0


@builtin("read")
async def read(shell: ShellState, argv: list[str]) -> int:
    """Read a line into variables."""
    names = [word for word in argv[1:] if not word.startswith("-")]
    raw = "-r" in argv
    limit = None
    if "-t" in argv:
        limit = float(names.pop(0))
    if "-p" in argv:
        await shell.process.write(names.pop(0), 2)
    line = ""
    with contextlib.suppress(TimeoutError):
        async with shell.process.clock.timeout(limit):
            line = await _read_line(shell.process, raw)
    _distribute(shell, line.removesuffix("\n"), names or ["REPLY"])
    return 0 if line.endswith("\n") else 1


async def _read_line(process: Process, raw: bool) -> str:
    line = (await process.stdin.read_line()).decode(errors="surrogateescape")
    while not raw and line.endswith("\\\n"):
        line = line[:-2] + (await process.stdin.read_line()).decode(errors="surrogateescape")
    return line if raw else re.sub(r"\\(.)", r"\1", line)


def _distribute(shell: ShellState, line: str, names: list[str]) -> None:
    separators = shell.variables.get("IFS", " \t\n")
    blank = "".join(set(separators) & set(" \t\n"))
    words = [line.strip(blank) if blank else line]
    if separators and len(names) > 1:
        words = re.split(separation(separators), words[0], maxsplit=len(names) - 1)
    for index, name in enumerate(names):
        shell.assign(name, words[index] if index < len(words) else "")


@builtin("command")
async def command(shell: ShellState, argv: list[str]) -> int:
    """Run a command past functions, or with -v tell what it is."""
    if argv[1:2] == ["-v"]:
        found = _describe(shell, argv[2])[0]
        if found:
            await shell.process.print(found)
        return 0 if found else 127
    if not argv[1:]:
        return 0
    function = shell.functions.pop(argv[1], None)
    try:
        await shell.call(argv[1:])
    finally:
        if function:
            shell.functions[argv[1]] = function
    return shell.status


@builtin("type")
async def type_(shell: ShellState, argv: list[str]) -> int:
    """Tell what commands are."""
    status = 0
    for name in argv[1:]:
        found, sentence = _describe(shell, name)
        await shell.process.print(f"{name}{sentence}" if found else f"{name}: not found")
        status = status if found else 127
    return status


def _describe(shell: ShellState, name: str) -> tuple[str, str]:
    """Return what `command -v` and `type` say about `name`; empty if there is no such command."""
    if name in KEYWORDS:
        return name, " is a shell keyword"
    if name in shell.functions:
        return name, " is a function"
    if name in BUILTINS or name == "exec":
        return name, " is a shell builtin"
    path = shell.find(name, shell.environment()).path
    return path, f" is {path}"


@builtin("let")
async def let(shell: ShellState, argv: list[str]) -> int:
    """Evaluate expressions; the last one's truth is the status."""
    try:
        values = [evaluate(text, shell.variables) for text in argv[1:]]
    except ExpressionError as error:
        await shell.complain(str(error))
        return 2
    return int(not values or values[-1] == 0)


@builtin("umask")
async def umask(shell: ShellState, _argv: list[str]) -> int:
    """Print the mask for new files, which is fixed."""
    await shell.process.print("0022")
    return 0
