"""From tokens to the syntax tree, by recursive descent."""

import re

from kubesim.runtime.shell.lexer import (
    REDIRECTIONS,
    IncompleteError,
    Lexer,
    ShellSyntaxError,
    Token,
)
from kubesim.runtime.shell.syntax import (
    AndOr,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Literal,
    Pipeline,
    Redirection,
    Sequence,
    Simple,
    Subshell,
    While,
    Word,
)

ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=")
TERMINATORS = {"then", "else", "elif", "fi", "do", "done", "esac", "}", ")", ";;"}
RESERVED = TERMINATORS | {"if", "while", "until", "for", "case", "{", "!", "("}


def parse(source: str) -> Sequence:
    """Return the program in `source`; ShellSyntaxError if it is none.

    That is IncompleteError if it only stops short.
    """
    parser = Parser(Lexer(source))
    program = parser.sequence()
    if parser.token is not None:
        raise parser.unexpected()
    return program


class Parser:
    """Looks one token ahead."""

    def __init__(self, lexer: Lexer) -> None:
        self.lexer = lexer
        self.token = lexer.next()

    def advance(self) -> Token:
        """Take the current token."""
        token = self.token
        if token is None:
            raise IncompleteError("unexpected end of file")
        self.token = self.lexer.next()
        return token

    def at(self, *texts: str) -> bool:
        """Tell whether the current token is one of these operators or reserved words."""
        return self.token is not None and self.token.plain in texts

    def expect(self, text: str) -> None:
        """Take the token `text` or complain."""
        if self.token is None:
            raise IncompleteError(f'unexpected end of file (expecting "{text}")')
        if not self.at(text):
            raise self.unexpected(text)
        self.advance()

    def unexpected(self, expected: str = "") -> ShellSyntaxError:
        """Return the complaint about the current token."""
        if self.token is None:
            return IncompleteError("unexpected end of file")
        hint = f' (expecting "{expected}")' if expected else ""
        if self.token.word is not None and self.token.plain not in RESERVED:
            return ShellSyntaxError(f"unexpected word{hint}")
        text = "newline" if self.token.text == "\n" else f'"{self.token.text}"'
        return ShellSyntaxError(f"unexpected {text}{hint}")

    def skip_newlines(self) -> None:
        """Take newlines."""
        while self.at("\n"):
            self.advance()

    def sequence(self) -> Sequence:
        """Read commands up to a terminator, which stays."""
        items: list[tuple[Command, bool]] = []
        self.skip_newlines()
        while self.token is not None and not self.at(*TERMINATORS):
            command = self.and_or()
            background = self.at("&")
            items.append((command, background))
            if not self.at("&", ";", "\n"):
                break
            self.advance()
            self.skip_newlines()
        return Sequence(items)

    def body(self, *ends: str) -> Sequence:
        """Read a sequence that must not be empty, up to one of `ends`."""
        sequence = self.sequence()
        if self.token is None:
            raise IncompleteError(f'unexpected end of file (expecting "{ends[0]}")')
        if not sequence.items or not self.at(*ends):
            raise self.unexpected(ends[0] if sequence.items else "")
        return sequence

    def and_or(self) -> Command:
        """Read pipelines joined by && and ||."""
        first = self.pipeline()
        rest = []
        while self.at("&&", "||"):
            operator = self.advance().text
            self.skip_newlines()
            rest.append((operator, self.pipeline()))
        return AndOr(first, rest) if rest else first

    def pipeline(self) -> Command:
        """Read commands joined by |."""
        negated = self.at("!")
        if negated:
            self.advance()
        commands = [self.command()]
        while self.at("|"):
            self.advance()
            self.skip_newlines()
            commands.append(self.command())
        return Pipeline(commands, negated) if negated or len(commands) > 1 else commands[0]

    def command(self) -> Command:
        """Read one simple or compound command with its redirections."""
        if self.token is None:
            raise IncompleteError("unexpected end of file")
        compound = {
            "if": self.if_command,
            "while": self.while_command,
            "until": self.while_command,
            "for": self.for_command,
            "case": self.case_command,
            "(": self.subshell,
            "{": self.group,
        }.get(self.token.plain)
        if compound is None:
            return self.simple()
        command = compound()
        while self.at(*REDIRECTIONS):
            command.redirections.append(self.redirection())
        return command

    def simple(self) -> Command:
        """Read assignments, words and redirections, or a function definition."""
        command = Simple([], [])
        while self.token is not None:
            token = self.token
            if self.at(*REDIRECTIONS):
                command.redirections.append(self.redirection())
            elif token.word is None:
                break
            else:
                assignment = None if command.words else _assignment(token.word)
                self.advance()
                if assignment:
                    command.assignments.append(assignment)
                else:
                    command.words.append(token.word)
                if len(command.words) == 1 and not command.assignments and self.at("("):
                    return self.function(token.text)
        if not (command.words or command.assignments or command.redirections):
            raise self.unexpected()
        return command

    def function(self, name: str) -> Function:
        """Read the rest of `name() body`."""
        self.expect("(")
        self.expect(")")
        self.skip_newlines()
        return Function(name, self.command())

    def redirection(self) -> Redirection:
        """Read one redirection."""
        operator = self.advance()
        if self.token is None or self.token.word is None:
            raise self.unexpected()
        default = 0 if operator.text.startswith("<") else 1
        number = default if operator.descriptor is None else operator.descriptor
        redirection = Redirection(number, operator.text, self.token.word)
        if operator.text.startswith("<<"):
            self.lexer.here_document(redirection, self.token)
        self.advance()
        return redirection

    def subshell(self) -> Subshell:
        """Read `( … )`."""
        self.expect("(")
        body = self.body(")")
        self.expect(")")
        return Subshell(body)

    def group(self) -> Group:
        """Read `{ …; }`."""
        self.expect("{")
        body = self.body("}")
        self.expect("}")
        return Group(body)

    def if_command(self) -> If:
        """Read `if … fi`."""
        branches = []
        otherwise = None
        self.expect("if")
        while True:
            condition = self.body("then")
            self.expect("then")
            branches.append((condition, self.body("fi", "elif", "else")))
            if not self.at("elif"):
                break
            self.advance()
        if self.at("else"):
            self.advance()
            otherwise = self.body("fi")
        self.expect("fi")
        return If(branches, otherwise)

    def while_command(self) -> While:
        """Read `while … done` or `until … done`."""
        until = self.advance().text == "until"
        condition = self.body("do")
        return While(condition, self.do_group(), until)

    def for_command(self) -> For:
        """Read `for … done`."""
        self.expect("for")
        name = self.advance().plain
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ShellSyntaxError("bad for loop variable")
        words: list[Word] | None = None
        self.skip_newlines()
        if self.at("in"):
            self.advance()
            words = []
            while self.token is not None and self.token.word is not None:
                words.append(self.token.word)
                self.advance()
        if self.at(";"):
            self.advance()
        self.skip_newlines()
        return For(name, words, self.do_group())

    def do_group(self) -> Sequence:
        """Read `do … done`."""
        self.expect("do")
        body = self.body("done")
        self.expect("done")
        return body

    def case_command(self) -> Case:
        """Read `case … esac`."""
        self.expect("case")
        subject = self.advance().word
        if subject is None:
            raise self.unexpected()
        self.skip_newlines()
        self.expect("in")
        self.skip_newlines()
        branches = []
        while not self.at("esac"):
            branches.append(self.case_branch())
            self.skip_newlines()
        self.expect("esac")
        return Case(subject, branches)

    def case_branch(self) -> tuple[list[Word], Sequence]:
        """Read `pattern|pattern) body;;`."""
        if self.at("("):
            self.advance()
        patterns = []
        while True:
            word = self.advance().word
            if word is None:
                raise self.unexpected(")")
            patterns.append(word)
            if not self.at("|"):
                break
            self.advance()
        self.expect(")")
        body = self.sequence()
        if self.at(";;"):
            self.advance()
        elif not self.at("esac"):
            raise self.unexpected(";;")
        return patterns, body


def _assignment(word: Word) -> tuple[str, Word] | None:
    first = word[0] if word else None
    if not isinstance(first, Literal) or first.quoted:
        return None
    match = ASSIGNMENT.match(first.text)
    if not match:
        return None
    rest = first.text[match.end() :]
    return match.group(1), ((Literal(rest), *word[1:]) if rest else word[1:])
