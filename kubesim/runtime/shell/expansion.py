"""What becomes of a word: parameters, substitutions, field splitting, globbing."""

import fnmatch
import posixpath
import re

from kubesim.runtime.process import Process, capture
from kubesim.runtime.shell.arithmetic import ExpressionError, evaluate
from kubesim.runtime.shell.parser import parse
from kubesim.runtime.shell.splitting import Fragment, Splitter
from kubesim.runtime.shell.state import ExpansionError, ShellState
from kubesim.runtime.shell.syntax import (
    Arithmetic,
    CommandSubstitution,
    Literal,
    Parameter,
    Part,
    Word,
)

WILDCARD = re.compile(r"[*?\[]")


async def fields(shell: ShellState, word: Word) -> list[str]:
    """Expand `word` into any number of fields, as for the words of a command."""
    if len(word) == 1 and isinstance(word[0], Literal) and not WILDCARD.search(word[0].text):
        text = word[0].text
        return [text if word[0].quoted else _tilde(shell, text)]
    splitter = Splitter(shell.variables.get("IFS", " \t\n"))
    for index, part in enumerate(word):
        await _add(shell, part, splitter, first=index == 0)
    return [path for field in splitter.finish() for path in _glob(shell.process, field)]


async def _add(shell: ShellState, part: Part, splitter: Splitter, first: bool) -> None:
    if isinstance(part, Literal):
        text = _tilde(shell, part.text) if first and not part.quoted else part.text
        splitter.append(text, part.quoted)
    elif isinstance(part, Parameter) and part.name in "@*" and not part.operator:
        splitter.arguments(shell.arguments, part)
    elif part.quoted:
        splitter.append(await value_of(shell, part), quoted=True)
    elif isinstance(part, Parameter) and part.operator in (":-", "-", ":+", "+"):
        for piece in await _alternative(shell, part):
            await _add(shell, piece, splitter, first=False)
    else:
        splitter.split(await value_of(shell, part))


async def _alternative(shell: ShellState, part: Parameter) -> Word:
    """Return what `${name-word}` or `${name+word}` stands for, still to be split."""
    value = shell.parameter(part.name)
    present = value is not None and (value != "" or not part.operator.startswith(":"))
    if part.operator.endswith("+"):
        return part.word if present else ()
    return (Parameter(part.name),) if present else part.word


async def text_of(shell: ShellState, word: Word) -> str:
    """Expand `word` into one string, without splitting and globbing, as in an assignment."""
    texts = []
    for index, part in enumerate(word):
        text = await value_of(shell, part)
        unquoted = index == 0 and isinstance(part, Literal) and not part.quoted
        texts.append(_tilde(shell, text) if unquoted else text)
    return "".join(texts)


async def pattern_of(shell: ShellState, word: Word) -> str:
    """Expand `word` into an fnmatch pattern in which quoted characters stand for themselves."""
    texts = []
    for part in word:
        text = await value_of(shell, part)
        texts.append(_escape(text) if part.quoted else text)
    return "".join(texts)


async def value_of(shell: ShellState, part: Part) -> str:
    """Return the text that `part` stands for."""
    if isinstance(part, Literal):
        return part.text
    if isinstance(part, CommandSubstitution):
        return await _substitute(shell, part.source)
    if isinstance(part, Arithmetic):
        try:
            return str(evaluate(await text_of(shell, part.expression), shell.variables))
        except ExpressionError as fault:
            raise ExpansionError(str(fault)) from fault
    return await _parameter(shell, part)


async def _substitute(shell: ShellState, source: str) -> str:
    program = parse(source)

    async def subshell(process: Process) -> int:
        return await shell.subshell(process, program)

    output, shell.status = await capture(shell.process, subshell)
    shell.substituted = True
    return output.decode(errors="surrogateescape").replace("\0", "").rstrip("\n")


async def _parameter(shell: ShellState, part: Parameter) -> str:
    value = shell.parameter(part.name)
    operator = part.operator
    if operator == "len":
        return str(len(shell.arguments) if part.name in "@*" else len(value or ""))
    if operator in ("#", "##", "%", "%%"):
        return _trim(value or "", operator, await pattern_of(shell, part.word))
    missing = value is None or (value == "" and operator.startswith(":"))
    if operator.endswith("+"):
        return "" if missing else await text_of(shell, part.word)
    if not missing:
        return value or ""
    return await _missing(shell, part)


async def _missing(shell: ShellState, part: Parameter) -> str:
    operator = part.operator
    if operator == "":
        if "u" in shell.options and part.name not in "@*":
            raise ExpansionError(f"{part.name}: parameter not set")
        return ""
    word = await text_of(shell, part.word)
    if operator.endswith("?"):
        default = "parameter not set" + (" or null" if operator == ":?" else "")
        raise ExpansionError(f"{part.name}: {word or default}")
    if operator.endswith("="):
        shell.assign(part.name, word)
    return word


def _trim(value: str, operator: str, pattern: str) -> str:
    """Return `value` without the shortest or longest prefix (#, ##) or suffix (%, %%)."""
    regex = re.compile(fnmatch.translate(pattern))
    cuts = range(len(value) + 1)
    prefix = operator[0] == "#"
    longest = len(operator) == 2
    for cut in reversed(cuts) if longest == prefix else cuts:
        if regex.match(value[:cut] if prefix else value[cut:]):
            return value[cut:] if prefix else value[:cut]
    return value


def _tilde(shell: ShellState, text: str) -> str:
    if text == "~" or text.startswith("~/"):
        return shell.variables.get("HOME", "/") + text[1:]
    return text


def _escape(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def _glob(process: Process, field: list[Fragment]) -> list[str]:
    text = "".join(text for text, _ in field)
    if not any(not quoted and WILDCARD.search(text) for text, quoted in field):
        return [text]
    pattern = "".join(_escape(text) if quoted else text for text, quoted in field)
    return sorted(_matches(process, pattern)) or [text]


def _matches(process: Process, pattern: str) -> list[str]:
    found = ["/"] if pattern.startswith("/") else [""]
    for part in filter(None, pattern.split("/")):
        found = [
            posixpath.join(parent, name)
            for parent in found
            for name in _names(process, parent, part)
        ]
    return found


def _names(process: Process, parent: str, pattern: str) -> list[str]:
    path = process.path(parent or ".")
    if not WILDCARD.search(pattern):
        return [pattern] if process.files.exists(posixpath.join(path, pattern)) else []
    if not process.files.is_directory(path):
        return []
    names = process.files.listdir(path)
    hidden = pattern.startswith(".")
    return [
        name
        for name in names
        if fnmatch.fnmatchcase(name, pattern) and (hidden or not name.startswith("."))
    ]
