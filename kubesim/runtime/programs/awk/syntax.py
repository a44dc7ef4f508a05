"""What an awk program consists of."""

from dataclasses import dataclass, field


class AwkSyntaxError(Exception):
    """The program cannot be read; the message is the part of busybox' that names the fault."""


@dataclass(frozen=True)
class Number:
    """A number in the program's text."""

    value: float


@dataclass(frozen=True)
class String:
    """A string in the program's text."""

    value: str


@dataclass(frozen=True)
class Regex:
    """/…/: alone it asks whether the record matches."""

    pattern: str


@dataclass(frozen=True)
class Variable:
    """A name."""

    name: str


@dataclass(frozen=True)
class Field:
    """$n."""

    index: "Expression"


@dataclass(frozen=True)
class Element:
    """An element of an array; several subscripts are joined by SUBSEP."""

    array: str
    subscripts: "tuple[Expression, ...]"


Place = Variable | Field | Element


@dataclass(frozen=True)
class Assign:
    """An assignment; `operator` is that of += and the like, or empty."""

    place: Place
    operator: str
    value: "Expression"


@dataclass(frozen=True)
class Increment:
    """++ or --, before or after the place."""

    place: Place
    step: int
    prefix: bool


@dataclass(frozen=True)
class Unary:
    """!, - or +."""

    operator: str
    operand: "Expression"


@dataclass(frozen=True)
class Binary:
    """Two operands; the operator " " joins strings."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True)
class Ternary:
    """condition ? then : otherwise."""

    condition: "Expression"
    then: "Expression"
    otherwise: "Expression"


@dataclass(frozen=True)
class Contains:
    """(subscripts) in array."""

    subscripts: "tuple[Expression, ...]"
    array: str


@dataclass(frozen=True)
class Call:
    """A call of a function, the program's own or a built-in one."""

    name: str
    arguments: "tuple[Expression, ...]"


@dataclass(frozen=True)
class Getline:
    """getline from the input, a file ("<") or a command ("|")."""

    place: Place | None = None
    source: "Expression | None" = None
    kind: str = ""


Expression = (
    Number
    | String
    | Regex
    | Variable
    | Field
    | Element
    | Assign
    | Increment
    | Unary
    | Binary
    | Ternary
    | Contains
    | Call
    | Getline
)


@dataclass(frozen=True)
class Print:
    """print or printf, perhaps into a file (">", ">>") or a command ("|")."""

    arguments: tuple[Expression, ...]
    formatted: bool = False
    redirection: str = ""
    target: Expression | None = None


@dataclass(frozen=True)
class Evaluate:
    """An expression for its effect."""

    expression: Expression


@dataclass(frozen=True)
class If:
    """if (condition) then else otherwise."""

    condition: Expression
    then: "Statement"
    otherwise: "Statement | None"


@dataclass(frozen=True)
class Loop:
    """while, do and for: `first` runs once, `step` after each turn, a do loop tests at the end."""

    condition: Expression | None
    body: "Statement"
    first: "Statement | None" = None
    step: "Statement | None" = None
    tests_last: bool = False


@dataclass(frozen=True)
class ForIn:
    """for (name in array) body."""

    name: str
    array: str
    body: "Statement"


@dataclass(frozen=True)
class Delete:
    """delete array or delete array[subscripts]."""

    array: str
    subscripts: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class Jump:
    """break, continue, next, exit or return, the last two with a value."""

    kind: str
    value: Expression | None = None


@dataclass(frozen=True)
class Block:
    """{ … }."""

    statements: "tuple[Statement, ...]"


Statement = Print | Evaluate | If | Loop | ForIn | Delete | Jump | Block


@dataclass(frozen=True)
class Function:
    """A function of the program's own."""

    parameters: tuple[str, ...]
    body: Block


@dataclass(frozen=True)
class Rule:
    """pattern { action }: begins and ends a range if there are two patterns."""

    patterns: tuple[Expression, ...]
    action: Block


@dataclass
class Program:
    """All rules and functions."""

    begin: list[Block] = field(default_factory=list)
    end: list[Block] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    functions: dict[str, Function] = field(default_factory=dict)
