"""From text to tokens: operators, and words in which quotes and expansions are recognised."""

import re
from dataclasses import dataclass, field

from kubesim.runtime.shell.syntax import (
    Arithmetic,
    CommandSubstitution,
    Literal,
    Parameter,
    Part,
    Redirection,
    Word,
)

OPERATORS = ("&&", "||", ";;", "<<-", "<<", ">>", "<&", ">&", "<>", ">|", *"&|;<>()\n")
REDIRECTIONS = ("<<-", "<<", ">>", "<&", ">&", "<>", ">|", "<", ">")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SPECIAL = "@*#?-$!0123456789"
MODIFIERS = (":-", ":=", ":?", ":+", "##", "%%", "-", "=", "?", "+", "#", "%")


class ShellSyntaxError(Exception):
    """The text is not a shell program."""


class IncompleteError(ShellSyntaxError):
    """The text ends in the middle; an interactive shell asks for more."""


@dataclass
class Token:
    """An operator (with its text) or a word (with its parts and the text it came from)."""

    text: str
    word: Word | None = None
    descriptor: int | None = None

    @property
    def plain(self) -> str:
        """The text if nothing in it is quoted or expanded; reserved words must be plain."""
        unquoted = self.word is not None and all(
            isinstance(part, Literal) and not part.quoted for part in self.word
        )
        return self.text if unquoted or self.word is None else ""


@dataclass
class Lexer:
    """Reads tokens from `source`."""

    source: str
    position: int = 0
    _documents: list[tuple[Redirection, str, bool, bool]] = field(default_factory=list)

    def next(self) -> Token | None:
        """Return the next token, None at the end."""
        self._skip_blanks()
        if self.position >= len(self.source):
            if self._documents:
                self._read_documents()
            return None
        for operator in OPERATORS:
            if self.source.startswith(operator, self.position):
                self.position += len(operator)
                if operator == "\n":
                    self._read_documents()
                return Token(operator)
        start = self.position
        word = self._word()
        text = self.source[start : self.position]
        if text.isdigit() and self.source[self.position : self.position + 1] in ("<", ">"):
            operator_token = self.next()
            assert operator_token is not None
            operator_token.descriptor = int(text)
            return operator_token
        return Token(text, word)

    def here_document(self, redirection: Redirection, delimiter: Token) -> None:
        """Remember a here-document; its text follows the next newline."""
        quoted = bool(re.search(r"[\"'\\]", delimiter.text))
        end = re.sub(r"[\"'\\]", "", delimiter.text)
        self._documents.append((redirection, end, quoted, redirection.operator == "<<-"))

    def _read_documents(self) -> None:
        for redirection, end, quoted, strip in self._documents:
            text = self._document_text(end, strip)
            literal: Word = (Literal(text, quoted=True),)
            redirection.target = literal if quoted else document_word(text)
        self._documents.clear()

    def _document_text(self, end: str, strip: bool) -> str:
        lines = []
        while self.position < len(self.source):
            stop = self.source.find("\n", self.position)
            stop = len(self.source) if stop < 0 else stop
            line = self.source[self.position : stop]
            self.position = stop + 1
            line = line.lstrip("\t") if strip else line
            if line == end:
                break
            lines.append(line + "\n")
        return "".join(lines)

    def _skip_blanks(self) -> None:
        while self.position < len(self.source):
            if self.source.startswith("\\\n", self.position):
                self.position += 2
            elif self.source[self.position] in " \t\r":
                self.position += 1
            elif self.source[self.position] == "#":
                end = self.source.find("\n", self.position)
                self.position = len(self.source) if end < 0 else end
            else:
                return

    def _word(self) -> Word:
        parts: list[Part] = []
        while self.position < len(self.source):
            char = self.source[self.position]
            if char in " \t\r\n;&|<>()":
                break
            parts += self._part(char)
        return tuple(parts)

    def _part(self, char: str) -> list[Part]:
        if char == "'":
            end = self._find("'", self.position + 1, "unterminated quoted string")
            text = self.source[self.position + 1 : end]
            self.position = end + 1
            return [Literal(text, quoted=True)]
        if char == '"':
            self.position += 1
            return self._double_quoted()
        if char == "\\":
            self.position += 2
            text = self.source[self.position - 1 : self.position]
            return [] if text == "\n" else [Literal(text or "\\", quoted=True)]
        if char in "$`":
            return [self._dollar(quoted=False)]
        match = re.compile(r"[^\s;&|<>()'\"\\$`]+").match(self.source, self.position)
        assert match
        self.position = match.end()
        return [Literal(match.group())]

    def _find(self, text: str, start: int, message: str) -> int:
        end = self.source.find(text, start)
        if end < 0:
            raise IncompleteError(message)
        return end

    def _double_quoted(self) -> list[Part]:
        parts = self._quoted_until('"')
        self.position += 1
        return parts or [Literal("", quoted=True)]

    def _quoted_until(self, stop: str) -> list[Part]:
        """Read parts as within double quotes up to `stop`, or the end if `stop` is empty."""
        parts: list[Part] = []
        text = ""
        while self.position < len(self.source):
            char = self.source[self.position]
            following = self.source[self.position + 1 : self.position + 2]
            if char == stop:
                return [*parts, Literal(text, quoted=True)] if text else parts
            if char == "\\" and following in ("$", "`", "\\", "\n", stop):
                text += "" if following == "\n" else following
                self.position += 2
            elif char in "$`":
                if text:
                    parts.append(Literal(text, quoted=True))
                text = ""
                parts.append(self._dollar(quoted=True))
            else:
                text += char
                self.position += 1
        if stop:
            raise IncompleteError("unterminated quoted string")
        return [*parts, Literal(text, quoted=True)] if text else parts

    def _dollar(self, quoted: bool) -> Part:
        if self.source[self.position] == "`":
            return self._backquoted(quoted)
        self.position += 1
        rest = self.source[self.position : self.position + 2]
        if rest == "((":
            return Arithmetic(document_word(self._enclosed("((", "))")), quoted)
        if rest[:1] == "(":
            return CommandSubstitution(self._enclosed("(", ")"), quoted)
        return self._braced(quoted) if rest[:1] == "{" else self._named(quoted)

    def _enclosed(self, opener: str, closer: str) -> str:
        start = self.position + len(opener)
        end = self._closing(start, closer)
        self.position = end + len(closer)
        return self.source[start:end]

    def _named(self, quoted: bool) -> Part:
        rest = self.source[self.position : self.position + 1]
        name = NAME.match(self.source, self.position)
        if name:
            self.position = name.end()
            return Parameter(name.group(), quoted=quoted)
        if rest and rest in SPECIAL:
            self.position += 1
            return Parameter(rest, quoted=quoted)
        return Literal("$", quoted)

    def _backquoted(self, quoted: bool) -> CommandSubstitution:
        end = self.position + 1
        while end < len(self.source) and self.source[end] != "`":
            end += 2 if self.source[end] == "\\" else 1
        if end >= len(self.source):
            raise IncompleteError("EOF in backquote substitution")
        source = re.sub(r"\\([$`\\])", r"\1", self.source[self.position + 1 : end])
        self.position = end + 1
        return CommandSubstitution(source, quoted)

    def _closing(self, start: int, closer: str) -> int:
        """Return where the `closer` of what opened before `start` stands."""
        depth, at = 0, start
        while at < len(self.source):
            char = self.source[at]
            if char == "\\":
                at += 1
            elif char == "'":
                at = self._find("'", at + 1, "unterminated quoted string")
            elif char == '"':
                at = self._end_of_double_quotes(at + 1)
            elif depth == 0 and self.source.startswith(closer, at):
                return at
            elif char in "()":
                depth += 1 if char == "(" else -1
            at += 1
        raise IncompleteError('unexpected end of file (expecting ")")')

    def _end_of_double_quotes(self, start: int) -> int:
        inner = Lexer(self.source, start)
        inner._quoted_until('"')
        return inner.position

    def _braced(self, quoted: bool) -> Parameter:
        self.position += 1
        length = self.source[self.position] == "#" and not self.source.startswith(
            "#}", self.position
        )
        self.position += length
        match = NAME.match(self.source, self.position)
        digits = re.compile(r"\d+|[@*#?$!-]").match(self.source, self.position)
        name = match or digits
        if not name:
            raise ShellSyntaxError("bad substitution")
        self.position = name.end()
        operator = "len" if length else ""
        for modifier in () if length else MODIFIERS:
            if self.source.startswith(modifier, self.position):
                operator = modifier
                self.position += len(modifier)
                break
        word = self._until_brace(quoted and operator[:1] not in ("#", "%"))
        if word and not operator:
            raise ShellSyntaxError("bad substitution")
        return Parameter(name.group(), operator, word, quoted)

    def _until_brace(self, quoted: bool) -> Word:
        parts: list[Part] = []
        while self.position < len(self.source):
            char = self.source[self.position]
            if char == "}":
                self.position += 1
                return tuple(parts)
            if char in "'\"\\$`" and not (quoted and char == "'"):
                parts += self._part(char)
            else:
                parts.append(Literal(char, quoted))
                self.position += 1
        raise IncompleteError('unexpected end of file (expecting "}")')


def document_word(text: str) -> Word:
    """Return `text` as a word expanded the way here-documents are."""
    return tuple(Lexer(text)._quoted_until(""))
