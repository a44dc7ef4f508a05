"""The stream editor: addresses, s, p, d, q, a, i, c, y and =."""

import re
from dataclasses import dataclass

from kubesim.runtime.process import Process
from kubesim.runtime.programs.applet import AppletError, Inputs, Options, applet
from kubesim.runtime.programs.patterns import regex

ADDRESS = re.compile(r"(\d+|\$|/(?:\\.|[^/\\])*/)(?:,(\d+|\$|/(?:\\.|[^/\\])*/))?\s*(!?)\s*")


@dataclass
class Command:
    """One editing command with the lines it applies to."""

    first: str
    last: str
    negated: bool
    name: str
    argument: str
    active: bool = False


@dataclass
class Substitution:
    """The parts of `s/pattern/replacement/flags`."""

    pattern: re.Pattern[str]
    replacement: str
    everywhere: bool
    which: int
    printing: bool


@applet("sed", "ne:irE", "[-i] [-nrE] [-e CMD]... [FILE]...\nor: sed [-i] [-nrE] CMD [FILE]...")
async def sed(process: Process, options: Options, operands: list[str]) -> int:
    """Edit a stream."""
    scripts = options.get("e") or operands[:1]
    names = operands if "e" in options else operands[1:]
    if not scripts:
        raise AppletError("no script")
    extended = "r" in options or "E" in options
    inputs = Inputs(process, names)
    if "i" not in options:
        editor = Editor("\n".join(scripts), extended, quiet="n" in options)
        lines = [line async for _, line in inputs.lines()]
        await process.write(editor.edit(b"".join(lines)))
        return inputs.failed
    async for name, data in inputs.contents():
        editor = Editor("\n".join(scripts), extended, quiet="n" in options)
        process.files.write(process.path(name), editor.edit(data))
    return inputs.failed


class Editor:
    """Applies a script to lines."""

    def __init__(self, script: str, extended: bool, quiet: bool) -> None:
        self._extended = extended
        self._quiet = quiet
        self._commands = list(self._parse(script))
        self._output: list[str] = []

    def edit(self, data: bytes) -> bytes:
        """Return the edited text."""
        text = data.decode(errors="surrogateescape")
        lines = text.splitlines()
        for number, line in enumerate(lines, 1):
            if not self._line(line, number, number == len(lines)):
                break
        result = "".join(line + "\n" for line in self._output)
        if text and not text.endswith("\n") and result.endswith("\n"):
            result = result[:-1]
        return result.encode(errors="surrogateescape")

    def _line(self, line: str, number: int, is_last: bool) -> bool:
        """Edit one line; return whether to go on."""
        appended: list[str] = []
        for command in self._commands:
            if self._applies(command, line, number, is_last) == command.negated:
                continue
            if command.name == "d":
                return True
            if command.name == "c":
                self._output.append(command.argument)
                return True
            if command.name == "q":
                self._output += [] if self._quiet else [line]
                return False
            if command.name == "a":
                appended.append(command.argument)
            else:
                line = self._edit(command, line, number)
        self._output += [] if self._quiet else [line]
        self._output += appended
        return True

    def _edit(self, command: Command, line: str, number: int) -> str:
        """Do a command that goes on with the next; return the line as it is then."""
        match command.name:
            case "p":
                self._output.append(line)
            case "=":
                self._output.append(str(number))
            case "i":
                self._output.append(command.argument)
            case "s":
                return self._substitute(command.argument, line)
            case "y":
                source, target = command.argument[1:-1].split(command.argument[0])
                return line.translate(str.maketrans(source, target))
        return line

    def _applies(self, command: Command, line: str, number: int, is_last: bool) -> bool:
        if not command.first:
            return True
        if command.active:
            command.active = not self._at(command.last, line, number, is_last)
            return True
        if not self._at(command.first, line, number, is_last):
            return False
        beyond = command.last.isdigit() and int(command.last) <= number
        command.active = bool(command.last) and not beyond
        return True

    def _at(self, address: str, line: str, number: int, is_last: bool) -> bool:
        if address == "$":
            return is_last
        if address.isdigit():
            return int(address) == number
        return re.search(regex(address[1:-1].replace("\\/", "/"), self._extended), line) is not None

    def _substitute(self, argument: str, line: str) -> str:
        rule = self._rule(argument)
        seen = 0

        def replace(match: re.Match[str]) -> str:
            nonlocal seen
            seen += 1
            chosen = seen == rule.which or (rule.everywhere and seen >= rule.which)
            return _fill(rule.replacement, match) if chosen else match.group()

        result = rule.pattern.sub(replace, line)
        if rule.printing and seen >= rule.which:
            self._output.append(result)
        return result

    def _rule(self, argument: str) -> Substitution:
        separator = argument[0]
        pattern, replacement, flags = _split(argument[1:], separator)
        options = re.IGNORECASE if "i" in flags or "I" in flags else 0
        which = re.search(r"\d+", flags)
        return Substitution(
            re.compile(regex(pattern, self._extended), options),
            replacement,
            "g" in flags,
            int(which.group()) if which else 1,
            "p" in flags,
        )

    def _parse(self, script: str) -> list[Command]:
        commands = []
        script = script.strip()
        while script:
            first, last, negated = "", "", False
            address = ADDRESS.match(script)
            if address:
                first, last, negated = address[1], address[2] or "", bool(address[3])
                script = script[address.end() :]
            name, script = script[:1], script[1:]
            argument, script = self._argument(name, script)
            commands.append(Command(first, last, negated, name, argument))
            script = script.lstrip("; \t\n")
        return commands

    def _argument(self, name: str, script: str) -> tuple[str, str]:
        if name in "sy" and name:
            separator = script[:1]
            parts = _split(script[1:], separator)
            length = 1 + len(parts[0]) + 1 + len(parts[1]) + 1
            flags = re.match(r"[gpiI\d]*", script[length:]) if name == "s" else None
            end = length + (flags.end() if flags else 0)
            return script[:end], script[end:]
        if name in ("a", "i", "c"):
            text, _, rest = script.partition("\n")
            return text.lstrip(" \\"), rest
        if name not in ("d", "p", "q", "="):
            raise AppletError(f"unsupported command {name}")
        return "", script


def _split(text: str, separator: str) -> tuple[str, str, str]:
    """Split `pattern/replacement/flags` at separators that are not escaped."""
    parts: list[str] = []
    current, at = "", 0
    while at < len(text) and len(parts) < 2:
        if text[at] == "\\" and at + 1 < len(text):
            current += text[at : at + 2]
            at += 2
        elif text[at] == separator:
            parts.append(current)
            current = ""
            at += 1
        else:
            current += text[at]
            at += 1
    if len(parts) < 2:
        raise AppletError("unmatched '" + separator + "'")
    return parts[0], parts[1], text[at:]


def _fill(replacement: str, match: re.Match[str]) -> str:
    def piece(found: re.Match[str]) -> str:
        text = found.group()
        if text == "&":
            return match.group()
        code = text[1]
        if code.isdigit():
            return match.group(int(code)) or ""
        return {"n": "\n", "t": "\t"}.get(code, code)

    return re.sub(r"\\.|&", piece, replacement)
