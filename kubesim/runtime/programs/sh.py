"""`sh`: a command line, a script or an interactive session."""

import asyncio

from kubesim.runtime.process import Exited, Process, reason
from kubesim.runtime.shell.interpreter import Shell, run_script, run_source
from kubesim.runtime.shell.lexer import IncompleteError, ShellSyntaxError
from kubesim.runtime.shell.parser import parse
from kubesim.runtime.shell.state import ExpansionError, Jump
from kubesim.runtime.signals import LINUX


async def sh(process: Process) -> int:
    """Run the shell: `sh [-eux] -c command [name [args]]`, `sh script [args]`, or a session."""
    level = process.environment.get("SHLVL", "0")
    process.environment["SHLVL"] = str(int(level) + 1 if level.isdigit() else 1)
    process.environment["PWD"] = process.directory
    words = process.argv[1:]
    letters = ""
    while words and words[0][:1] == "-" and words[0] != "--" and len(words[0]) > 1:
        letters += words.pop(0)[1:]
    if "c" in letters:
        if not words:
            await process.complain("-c requires an argument")
            return 2
        source, *rest = words
        shell = Shell(process, rest[0] if rest else process.name, rest[1:])
        shell.options.update(set(letters) & set("eux"))
        return await run_source(shell, source, final=True)
    if words and "s" not in letters:
        try:
            return await run_script(process, words[0], words[1:])
        except OSError as error:
            await process.complain(f"can't open '{words[0]}': {reason(error)}")
            return 2
    return await Session(process, words, terminal=process.stdin.is_terminal or "i" in letters).run()


class Session:
    """A shell that reads its commands from standard input, with prompts on a terminal."""

    def __init__(self, process: Process, arguments: list[str], terminal: bool) -> None:
        self._process = process
        self._shell = Shell(process, process.name, arguments)
        self._terminal = terminal
        self._prompt = ""  # what is shown while a line is awaited
        self._asking: asyncio.Future[None] | None = None
        if terminal:
            self._shell.options.add("i")
            for name in ("QUIT", "TERM"):
                process.handlers[LINUX[name]] = lambda: None
            process.handlers[LINUX["INT"]] = self._interrupted

    async def run(self) -> int:
        """Execute what comes until `exit` or the end of the input."""
        source = ""
        while True:
            line = await self._read(source)
            if not line:
                break
            source += line
            try:
                program = parse(source)
            except IncompleteError:
                continue
            except ShellSyntaxError as fault:
                source = ""
                await self._shell.complain(f"syntax error: {fault}")
                if not self._terminal:
                    return 2
                continue
            source = ""
            try:
                await self._shell.execute(program)
            except Exited as exited:
                self._shell.status = exited.status
                return await self._shell.leave()
            except Jump:
                continue
            except ExpansionError as fault:
                await self._shell.complain(str(fault))
                self._shell.status = 2
                if not self._terminal:
                    return 2
        if source:
            await self._shell.complain("syntax error: unexpected end of file")
            return 2
        return await self._shell.leave()

    def _interrupted(self) -> None:
        """Ask again, for what was typed so far is forgotten."""
        if self._prompt:
            self._asking = asyncio.ensure_future(self._process.write(self._prompt, 2))

    async def _read(self, source: str) -> str:
        if self._terminal:
            directory = self._process.directory
            home = self._shell.variables.get("HOME", "")
            place = "~" if directory == home and home != "/" else directory
            self._prompt = "> " if source else f"{place} # "
            await self._process.write(self._prompt, 2)
        line = await self._process.stdin.read_line()
        self._prompt = ""
        return line.decode(errors="surrogateescape")
