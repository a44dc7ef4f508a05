"""Tokens to an awk program, by recursive descent in the order of POSIX's precedences."""

from collections.abc import Callable

from kubesim.runtime.programs.awk.lexer import Token, tokens
from kubesim.runtime.programs.awk.syntax import (
    Assign,
    AwkSyntaxError,
    Binary,
    Block,
    Call,
    Contains,
    Delete,
    Element,
    Evaluate,
    Expression,
    Field,
    ForIn,
    Function,
    Getline,
    If,
    Increment,
    Jump,
    Loop,
    Number,
    Place,
    Print,
    Program,
    Regex,
    Rule,
    Statement,
    String,
    Ternary,
    Unary,
    Variable,
)

ASSIGNMENTS = ("=", "+=", "-=", "*=", "/=", "%=", "^=", "**=")
COMPARISONS = ("<", "<=", "==", "!=", ">", ">=")
STARTS = ("number", "string", "regex", "name", "call")  # kinds that begin an operand
PRINT_RECORD = Block((Print(()),))


def parse(source: str) -> Program:
    """Read a program. Raises AwkSyntaxError."""
    return _Parser(tokens(source)).program()


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._in_print = False  # there a > writes into a file, unless in parentheses

    # Tokens

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _is(self, *texts: str) -> bool:
        return self._next.kind in ("operator", "keyword", "newline") and self._next.text in texts

    def _take(self, *texts: str) -> str:
        """Consume the next token if it is one of these; return its text or nothing."""
        if not self._is(*texts):
            return ""
        self._at += 1
        return self._tokens[self._at - 1].text

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise AwkSyntaxError("Unexpected token")

    def _name(self) -> str:
        if self._next.kind not in ("name", "call"):
            raise AwkSyntaxError("Unexpected token")
        self._at += 1
        return self._tokens[self._at - 1].text

    def _skip_newlines(self) -> None:
        while self._take("\n"):
            pass

    def _skip_ends(self) -> None:
        while self._take("\n", ";"):
            pass

    # Rules and functions

    def program(self) -> Program:
        result = Program()
        self._skip_ends()
        while self._next.kind != "end":
            self._item(result)
            self._skip_ends()
        return result

    def _item(self, result: Program) -> None:
        if self._take("BEGIN"):
            result.begin.append(self._block())
        elif self._take("END"):
            result.end.append(self._block())
        elif self._take("function", "func"):
            name = self._name()
            result.functions[name] = self._function()
        else:
            result.rules.append(self._rule())

    def _function(self) -> Function:
        self._expect("(")
        parameters = []
        while not self._take(")"):
            parameters.append(self._name())
            self._take(",")
            self._skip_newlines()
        self._skip_newlines()
        return Function(tuple(parameters), self._block())

    def _rule(self) -> Rule:
        patterns: list[Expression] = []
        if not self._is("{"):
            patterns.append(self._expression())
            if self._take(","):
                self._skip_newlines()
                patterns.append(self._expression())
        return Rule(tuple(patterns), self._block() if self._is("{") else PRINT_RECORD)

    def _block(self) -> Block:
        self._expect("{")
        statements = []
        self._skip_ends()
        while not self._take("}"):
            statements.append(self._statement())
            self._skip_ends()
        return Block(tuple(statements))

    # Statements

    def _statement(self) -> Statement:
        self._skip_newlines()
        if self._is("{"):
            return self._block()
        if self._take(";"):
            return Block(())
        compound: dict[str, Callable[[], Statement]] = {
            "if": self._if,
            "while": self._while,
            "do": self._do,
            "for": self._for,
        }
        word = self._take(*compound)
        if word:
            return compound[word]()
        statement = self._simple()
        if not self._is("}") and self._next.kind != "end" and not self._take(";", "\n"):
            raise AwkSyntaxError("Unexpected token")
        return statement

    def _simple(self) -> Statement:
        word = self._take("print", "printf")
        if word:
            return self._print(formatted=word == "printf")
        word = self._take("break", "continue", "next")
        if word:
            return Jump(word)
        word = self._take("exit", "return")
        if word:
            ends = self._is(";", "\n", "}") or self._next.kind == "end"
            return Jump(word, None if ends else self._expression())
        if self._take("delete"):
            array = self._name()
            return Delete(array, self._subscripts() if self._take("[") else ())
        return Evaluate(self._expression())

    def _if(self) -> Statement:
        condition = self._condition()
        then = self._statement()
        mark = self._at
        self._skip_ends()
        if self._take("else"):
            return If(condition, then, self._statement())
        self._at = mark
        return If(condition, then, None)

    def _condition(self) -> Expression:
        self._expect("(")
        condition = self._expression()
        self._expect(")")
        return condition

    def _while(self) -> Statement:
        condition = self._condition()
        return Loop(condition, self._statement())

    def _do(self) -> Statement:
        body = self._statement()
        self._skip_ends()
        self._expect("while")
        return Loop(self._condition(), body, tests_last=True)

    def _for(self) -> Statement:
        self._expect("(")
        mark = self._at
        if self._next.kind == "name":
            name = self._name()
            if self._take("in"):
                array = self._name()
                if self._take(")"):
                    return ForIn(name, array, self._statement())
            self._at = mark
        first = None if self._is(";") else self._simple()
        self._expect(";")
        condition = None if self._is(";") else self._expression()
        self._expect(";")
        step = None if self._is(")") else self._simple()
        self._expect(")")
        return Loop(condition, self._statement(), first, step)

    def _print(self, formatted: bool) -> Statement:
        arguments = self._print_arguments()
        redirection = self._take(">", ">>", "|")
        target = self._ternary() if redirection else None
        return Print(arguments, formatted, redirection, target)

    def _print_arguments(self) -> tuple[Expression, ...]:
        if self._is(";", "\n", "}", ">", ">>", "|") or self._next.kind == "end":
            return ()
        mark = self._at
        if self._take("("):  # print (a, b) > "file"
            arguments = self._list(")")
            if self._is(";", "\n", "}", ">", ">>", "|") or self._next.kind == "end":
                return arguments
            self._at = mark
        before, self._in_print = self._in_print, True
        arguments = (self._expression(),)
        while self._take(","):
            self._skip_newlines()
            arguments += (self._expression(),)
        self._in_print = before
        return arguments

    def _list(self, end: str) -> tuple[Expression, ...]:
        """Expressions up to the closing token."""
        before, self._in_print = self._in_print, False
        found: tuple[Expression, ...] = ()
        self._skip_newlines()
        while not self._take(end):
            found += (self._expression(),)
            self._skip_newlines()
            if not self._is(end):
                self._expect(",")
                self._skip_newlines()
        self._in_print = before
        return found

    def _subscripts(self) -> tuple[Expression, ...]:
        return self._list("]")

    # Expressions, from the loosest operator to the tightest

    def _expression(self) -> Expression:
        left = self._ternary()
        if isinstance(left, Variable | Field | Element) and self._is(*ASSIGNMENTS):
            operator = self._take(*ASSIGNMENTS)[:-1].replace("**", "^")
            self._skip_newlines()
            return Assign(left, operator, self._expression())
        return left

    def _ternary(self) -> Expression:
        condition = self._or()
        if not self._take("?"):
            return condition
        self._skip_newlines()
        then = self._expression()
        self._skip_newlines()
        self._expect(":")
        self._skip_newlines()
        return Ternary(condition, then, self._expression())

    def _or(self) -> Expression:
        return self._binary(("||",), self._and)

    def _and(self) -> Expression:
        return self._binary(("&&",), self._in)

    def _binary(self, operators: tuple[str, ...], operand: Callable[[], Expression]) -> Expression:
        left = operand()
        while operator := self._take(*operators):
            self._skip_newlines()
            left = Binary(operator, left, operand())
        return left

    def _in(self) -> Expression:
        left = self._match()
        while self._take("in"):
            left = Contains((left,), self._name())
        return left

    def _match(self) -> Expression:
        return self._binary(("~", "!~"), self._comparison)

    def _comparison(self) -> Expression:
        left = self._piped()
        operators = [op for op in COMPARISONS if not (self._in_print and op == ">")]
        operator = self._take(*operators)
        return Binary(operator, left, self._piped()) if operator else left

    def _piped(self) -> Expression:
        """Read a command whose output getline takes."""
        left = self._concatenation()
        while self._is("|") and self._tokens[self._at + 1] == Token("keyword", "getline"):
            self._at += 2
            left = Getline(self._optional_place(), left, "|")
        return left

    def _concatenation(self) -> Expression:
        left = self._sum()
        while self._begins_operand():
            left = Binary(" ", left, self._sum())
        return left

    def _begins_operand(self) -> bool:
        if self._next.kind == "regex":
            return False
        return self._next.kind in STARTS or self._is("$", "(", "++", "--")

    def _sum(self) -> Expression:
        return self._binary(("+", "-"), self._product)

    def _product(self) -> Expression:
        return self._binary(("*", "/", "%"), self._unary)

    def _unary(self) -> Expression:
        operator = self._take("!", "-", "+")
        return Unary(operator, self._unary()) if operator else self._power()

    def _power(self) -> Expression:
        base = self._postfix()
        if self._take("^", "**"):
            return Binary("^", base, self._unary())
        return base

    def _postfix(self) -> Expression:
        sign = self._take("++", "--")
        if sign:
            return Increment(self._place(), 1 if sign == "++" else -1, prefix=True)
        value = self._primary()
        if isinstance(value, Variable | Field | Element):
            sign = self._take("++", "--")
            if sign:
                return Increment(value, 1 if sign == "++" else -1, prefix=False)
        return value

    def _place(self) -> Place:
        place = self._primary()
        if not isinstance(place, Variable | Field | Element):
            raise AwkSyntaxError("Unexpected token")
        return place

    def _optional_place(self) -> Place | None:
        return self._place() if self._is("$") or self._next.kind == "name" else None

    def _primary(self) -> Expression:
        token = self._next
        if token.kind in ("number", "string", "regex"):
            self._at += 1
            return _literal(token)
        if token.kind == "call":
            name = self._name()
            self._expect("(")
            return Call(name, self._list(")"))
        if token.kind == "name":
            return self._variable()
        if self._take("$"):
            return Field(self._postfix_of_field())
        if self._take("getline"):
            place = self._optional_place()
            return Getline(place, self._primary(), "<") if self._take("<") else Getline(place)
        if self._take("("):
            return self._parenthesized()
        raise AwkSyntaxError("Unexpected token")

    def _postfix_of_field(self) -> Expression:
        """$i++ increments the field, $++i the index."""
        sign = self._take("++", "--")
        if sign:
            return Increment(self._place(), 1 if sign == "++" else -1, prefix=True)
        return Unary("-", self._primary()) if self._take("-") else self._primary()

    def _variable(self) -> Expression:
        name = self._name()
        if self._take("["):
            return Element(name, self._subscripts())
        return Call(name, ()) if name == "length" else Variable(name)

    def _parenthesized(self) -> Expression:
        inner = self._list(")")
        if self._take("in"):
            return Contains(inner, self._name())
        if len(inner) != 1:
            raise AwkSyntaxError("Unexpected token")
        return inner[0]


def _literal(token: Token) -> Expression:
    if token.kind == "number":
        hexadecimal = token.text[:2] in ("0x", "0X")
        return Number(float(int(token.text, 16)) if hexadecimal else float(token.text))
    return String(token.text) if token.kind == "string" else Regex(token.text)
