"""The syntax tree of the shell."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Literal:
    """Text; what is quoted is neither split nor globbed."""

    text: str
    quoted: bool = False


@dataclass(frozen=True)
class Parameter:
    """`$name`, `${name}` or `${name<operator>word}`; operator "len" is `${#name}`."""

    name: str
    operator: str = ""
    word: "Word" = ()
    quoted: bool = False


@dataclass(frozen=True)
class CommandSubstitution:
    """`$(source)` or backquotes."""

    source: str
    quoted: bool = False


@dataclass(frozen=True)
class Arithmetic:
    """`$((expression))`."""

    expression: "Word"
    quoted: bool = False


Part = Literal | Parameter | CommandSubstitution | Arithmetic
Word = tuple[Part, ...]


@dataclass
class Redirection:
    """`descriptor operator target`; a here-document's target is its text."""

    descriptor: int
    operator: str
    target: Word


@dataclass
class Command:
    """What all commands can have: redirections."""

    redirections: list[Redirection] = field(default_factory=list, kw_only=True)


@dataclass
class Simple(Command):
    """`name=value … word …`."""

    assignments: list[tuple[str, Word]]
    words: list[Word]


@dataclass
class Pipeline(Command):
    """`[!] command | command …`."""

    commands: list[Command]
    negated: bool = False


@dataclass
class AndOr(Command):
    """`first && pipeline || pipeline …`."""

    first: Command
    rest: list[tuple[str, Command]]


@dataclass
class Sequence(Command):
    """Commands one after the other; those marked True go to the background."""

    items: list[tuple[Command, bool]]


@dataclass
class Subshell(Command):
    """`( body )`."""

    body: Sequence


@dataclass
class Group(Command):
    """`{ body; }`."""

    body: Sequence


@dataclass
class If(Command):
    """`if condition; then body; elif …; else otherwise; fi`."""

    branches: list[tuple[Sequence, Sequence]]
    otherwise: Sequence | None


@dataclass
class For(Command):
    """`for name in words; do body; done`; without words over the arguments."""

    name: str
    words: list[Word] | None
    body: Sequence


@dataclass
class While(Command):
    """`while condition; do body; done`, or until."""

    condition: Sequence
    body: Sequence
    until: bool


@dataclass
class Case(Command):
    """`case subject in pattern|pattern) body;; … esac`."""

    subject: Word
    branches: list[tuple[list[Word], Sequence]]


@dataclass
class Function(Command):
    """`name() body`."""

    name: str
    body: Command
