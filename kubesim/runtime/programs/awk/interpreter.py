"""Runs an awk program over its input."""

import math
import random
from collections.abc import Mapping

from kubesim.runtime.process import Process, reason
from kubesim.runtime.programs.applet import AppletError
from kubesim.runtime.programs.awk import functions, streams
from kubesim.runtime.programs.awk.syntax import (
    Assign,
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
from kubesim.runtime.programs.awk.values import (
    Input,
    Value,
    compare,
    number,
    regex,
    sprintf,
    text,
    truth,
)

MAX_FIELDS = 100_000
MAX_DEPTH = 100
Array = dict[str, Value]
ARITHMETIC = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "^": lambda one, other: one**other,
}
ORDER = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    "==": lambda order: order == 0,
    "!=": lambda order: order != 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


class Interrupted(Exception):  # noqa: N818 - control flow, not an error
    """break, continue, next, exit or return on its way up."""

    def __init__(self, kind: str, value: Value = None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.value = value


class Interpreter:
    """The state of a running program."""

    def __init__(self, process: Process, program: Program, operands: list[str]) -> None:
        self._process = process
        self._program = program
        self._operands = operands
        self._globals: dict[str, Value] = {
            "FS": " ",
            "OFS": " ",
            "RS": "\n",
            "ORS": "\n",
            "SUBSEP": "\x1c",
            "CONVFMT": "%.6g",
            "OFMT": "%.6g",
            "NR": 0.0,
            "FNR": 0.0,
            "RSTART": 0.0,
            "RLENGTH": -1.0,
            "FILENAME": "",
            "ARGC": float(len(operands) + 1),
        }
        self._arrays: dict[str, Array] = {
            "ENVIRON": {key: Input(value) for key, value in process.environment.items()},
            "ARGV": {str(n): Input(word) for n, word in enumerate(["awk", *operands])},
        }
        self._locals: list[dict[str, Value | Array]] = []
        self._record = ""
        self._fields: list[str] | None = []  # None until somebody asks
        self._readers: dict[tuple[str, str], streams.Reader] = {}
        self._writers: dict[str, streams.Writer] = {}
        self._input: streams.Reader | None = None
        self._read_any = False
        self._in_range: set[int] = set()
        self._random = random.Random(0)  # noqa: S311 - awk's rand() starts with seed 0
        self._seed = 0.0
        self._status = 0
        self._failed = 0

    def assign(self, name: str, value: str) -> None:
        """Set a variable from outside, as -v and operands do."""
        self._globals[name] = Input(value)

    async def run(self) -> int:
        """Run BEGIN, the rules over all records, and END; return the exit status."""
        try:
            await self._run_blocks(self._program.begin)
            if self._program.rules or self._program.end:
                await self._run_rules()
        except Interrupted as jump:
            self._leave(jump)
        try:
            await self._run_blocks(self._program.end)
        except Interrupted as jump:
            self._leave(jump)
        for writer in self._writers.values():
            await writer.close()
        for reader in self._readers.values():
            await reader.close()
        return self._status or self._failed

    def _leave(self, jump: Interrupted) -> None:
        if jump.value is not None:
            self._status = int(number(jump.value)) & 255

    async def _run_blocks(self, blocks: list[Block]) -> None:
        for block in blocks:
            await self._execute(block)

    async def _run_rules(self) -> None:
        while await self._next_record():
            try:
                for index, rule in enumerate(self._program.rules):
                    if await self._selects(index, rule):
                        await self._execute(rule.action)
            except Interrupted as jump:
                if jump.kind != "next":
                    raise

    async def _selects(self, index: int, rule: Rule) -> bool:
        if len(rule.patterns) < 2:
            return not rule.patterns or truth(await self._value(rule.patterns[0]))
        begin, end = rule.patterns
        if index not in self._in_range and not truth(await self._value(begin)):
            return False
        self._in_range.add(index)
        if truth(await self._value(end)):
            self._in_range.discard(index)
        return True

    # Input

    async def _next_record(self) -> bool:
        record = await self._next_of_input()
        if record is None:
            return False
        self._set_record(record)
        return True

    async def _next_of_input(self) -> str | None:
        while True:
            if self._input is None:
                self._input = await self._next_file()
                if self._input is None:
                    return None
            record = await self._input.record(text(self._globals["RS"]))
            if record is not None:
                self._count("NR")
                self._count("FNR")
                return record
            await self._input.close()
            self._input = None

    async def _next_file(self) -> streams.Reader | None:
        """Open the next operand; one of the form name=value is an assignment."""
        while self._operands:
            operand = self._operands.pop(0)
            name, equals, value = operand.partition("=")
            if equals and name.isidentifier():
                self.assign(name, value)
                continue
            self._read_any = True
            self._globals |= {"FILENAME": operand, "FNR": 0.0}
            try:
                return streams.reader_of(self._process, "<", operand)
            except OSError as error:
                await self._process.complain(f"{operand}: {reason(error)}")
                self._failed = 1
        if self._read_any:
            return None
        self._read_any = True
        return streams.reader_of(self._process, "<", "-")

    def _count(self, name: str) -> None:
        self._globals[name] = number(self._globals[name]) + 1

    # Record and fields

    def _set_record(self, record: str) -> None:
        self._record = record
        self._fields = None

    def _split(self) -> list[str]:
        if self._fields is None:
            separator = text(self._globals["FS"])
            if self._globals["RS"] == "" and separator != " ":
                separator = f"{separator}|\n"
            self._fields = functions.split(self._record, separator)
        return self._fields

    def _field(self, index: int) -> Value:
        if index < 0:
            raise AppletError("cmd. line:1: Access to negative field")
        if index == 0:
            return Input(self._record)
        found = self._split()
        return Input(found[index - 1]) if index <= len(found) else None

    def _set_field(self, index: int, value: str) -> None:
        if index == 0:
            self._set_record(value)
            return
        found = self._split()
        if not 0 < index <= MAX_FIELDS:
            raise AppletError("cmd. line:1: Access to negative field")
        found += [""] * (index - len(found))
        found[index - 1] = value
        self._record = text(self._globals["OFS"]).join(found)

    def _set_count(self, count: int) -> None:
        found = self._split()
        self._fields = (found + [""] * (min(count, MAX_FIELDS) - len(found)))[:count]
        self._record = text(self._globals["OFS"]).join(self._fields)

    # Variables

    def _get(self, name: str) -> Value:
        if self._locals and name in self._locals[-1]:
            value = self._locals[-1][name]
            if isinstance(value, dict):
                raise AppletError(f"{name}: array used as a scalar")
            return value
        return float(len(self._split())) if name == "NF" else self._globals.get(name)

    def _set(self, name: str, value: Value) -> None:
        if self._locals and name in self._locals[-1]:
            self._locals[-1][name] = value
        elif name == "NF":
            self._set_count(int(number(value)))
        else:
            self._globals[name] = value

    def _array(self, name: str) -> Array:
        if self._locals and name in self._locals[-1]:
            if not isinstance(self._locals[-1][name], dict):
                self._locals[-1][name] = {}
            local = self._locals[-1][name]
            assert isinstance(local, dict)
            return local
        return self._arrays.setdefault(name, {})

    async def _key(self, subscripts: tuple[Expression, ...]) -> str:
        parts = [text(await self._value(each), self._form()) for each in subscripts]
        return text(self._globals["SUBSEP"]).join(parts)

    def _form(self) -> str:
        return text(self._globals["CONVFMT"])

    async def _store(self, place: Place, value: Value) -> Value:
        match place:
            case Variable():
                self._set(place.name, value)
            case Element():
                self._array(place.array)[await self._key(place.subscripts)] = value
            case Field():
                index = int(number(await self._value(place.index)))
                self._set_field(index, text(value, self._form()))
        return value

    # Statements

    async def _execute(self, statement: Statement) -> None:
        await self._process.checkpoint()
        match statement:
            case Block():
                for each in statement.statements:
                    await self._execute(each)
            case Evaluate():
                await self._value(statement.expression)
            case Print():
                await self._print(statement)
            case If():
                await self._if(statement)
            case Loop():
                await self._loop(statement)
            case ForIn():
                for key in list(self._array(statement.array)):
                    self._set(statement.name, Input(key))
                    if await self._turn(statement.body):
                        break
            case Delete():
                await self._delete(statement)
            case Jump():
                value = statement.value
                raise Interrupted(statement.kind, await self._value(value) if value else None)

    async def _if(self, statement: If) -> None:
        if truth(await self._value(statement.condition)):
            await self._execute(statement.then)
        elif statement.otherwise:
            await self._execute(statement.otherwise)

    async def _loop(self, loop: Loop) -> None:
        if loop.first:
            await self._execute(loop.first)
        test = not loop.tests_last
        while True:
            if test and loop.condition and not truth(await self._value(loop.condition)):
                return
            test = True
            if await self._turn(loop.body):
                return
            if loop.step:
                await self._execute(loop.step)

    async def _turn(self, body: Statement) -> bool:
        """Execute a loop's body once; return whether the loop is to end."""
        try:
            await self._execute(body)
        except Interrupted as jump:
            if jump.kind not in ("break", "continue"):
                raise
            return jump.kind == "break"
        return False

    async def _delete(self, statement: Delete) -> None:
        array = self._array(statement.array)
        if statement.subscripts:
            array.pop(await self._key(statement.subscripts), None)
        else:
            array.clear()

    async def _print(self, statement: Print) -> None:
        values = [await self._value(each) for each in statement.arguments]
        if statement.formatted:
            line = sprintf(text(values[0]), values[1:]) if values else ""
        elif values:
            form = text(self._globals["OFMT"])
            line = text(self._globals["OFS"]).join(text(each, form) for each in values)
        else:
            line = self._record
        if not statement.formatted:
            line += text(self._globals["ORS"])
        if statement.target is None:
            await self._process.write(line)
            return
        target = text(await self._value(statement.target))
        if target not in self._writers:
            writer = streams.writer_to(self._process, statement.redirection, target)
            self._writers[target] = writer
        await self._writers[target].write(line)

    # Expressions

    async def _value(self, expression: Expression) -> Value:  # noqa: PLR0911, PLR0912 - one a kind
        match expression:
            case Number() | String():
                return expression.value
            case Regex():
                return float(bool(regex(expression.pattern).search(self._record)))
            case Variable():
                return self._get(expression.name)
            case Field():
                return self._field(int(number(await self._value(expression.index))))
            case Element():
                key = await self._key(expression.subscripts)
                return self._array(expression.array).setdefault(key, None)
            case Assign():
                return await self._assign(expression)
            case Increment():
                before = number(await self._value(expression.place))
                await self._store(expression.place, before + expression.step)
                return before + expression.step if expression.prefix else before
            case Unary():
                return await self._unary(expression)
            case Binary():
                return await self._binary(expression)
            case Ternary():
                chosen = truth(await self._value(expression.condition))
                return await self._value(expression.then if chosen else expression.otherwise)
            case Contains():
                key = await self._key(expression.subscripts)
                return float(key in self._array(expression.array))
            case Call():
                return await self._call(expression)
            case Getline():
                return await self._getline(expression)

    async def _assign(self, expression: Assign) -> Value:
        value = await self._value(expression.value)
        if expression.operator:
            before = number(await self._value(expression.place))
            value = self._calculate(expression.operator, before, number(value))
        return await self._store(expression.place, value)

    async def _unary(self, expression: Unary) -> Value:
        value = await self._value(expression.operand)
        if expression.operator == "!":
            return float(not truth(value))
        return -number(value) if expression.operator == "-" else number(value)

    async def _binary(self, expression: Binary) -> Value:
        operator = expression.operator
        left = await self._value(expression.left)
        if operator in ("&&", "||"):
            if truth(left) == (operator == "||"):
                return float(operator == "||")
            return float(truth(await self._value(expression.right)))
        if operator in ("~", "!~"):
            found = regex(await self._pattern(expression.right)).search(text(left))
            return float(bool(found) == (operator == "~"))
        right = await self._value(expression.right)
        if operator == " ":
            return text(left, self._form()) + text(right, self._form())
        if operator in ORDER:
            return float(ORDER[operator](compare(left, right)))
        return self._calculate(operator, number(left), number(right))

    def _calculate(self, operator: str, left: float, right: float) -> float:
        if operator in ("/", "%"):
            if right == 0:
                raise AppletError("cmd. line:1: Division by zero")
            return left / right if operator == "/" else math.fmod(left, right)
        try:
            return float(ARITHMETIC[operator](left, right))
        except OverflowError:
            return math.inf

    async def _pattern(self, expression: Expression) -> str:
        if isinstance(expression, Regex):
            return expression.pattern
        return text(await self._value(expression))

    async def _getline(self, expression: Getline) -> Value:
        """1 for a record, 0 at the end, -1 when the file cannot be read."""
        if expression.source is None:
            record = await self._next_of_input()
        else:
            target = text(await self._value(expression.source))
            try:
                reader = self._reader(expression.kind, target)
            except OSError:
                return -1.0
            record = await reader.record(text(self._globals["RS"]))
            if record is not None and expression.kind == "|":
                self._count("NR")
        if record is None:
            return 0.0
        await self._store(expression.place or Field(Number(0.0)), Input(record))
        return 1.0

    def _reader(self, kind: str, target: str) -> streams.Reader:
        if (kind, target) not in self._readers:
            self._readers[kind, target] = streams.reader_of(self._process, kind, target)
        return self._readers[kind, target]

    # Functions

    async def _call(self, call: Call) -> Value:
        if call.name in self._program.functions:
            return await self._call_function(call)
        special = getattr(self, f"_do_{call.name}", None)
        if special:
            result: Value = await special(call.arguments)
            return result
        if call.name not in functions.PURE:
            raise AppletError(f"call to undefined function '{call.name}'")
        values = [await self._value(each) for each in call.arguments]
        if call.name == "strftime" and len(values) < 2:
            values.append(float(int(self._process.clock.now().timestamp())))
        try:
            return functions.PURE[call.name](values)
        except IndexError:
            raise AppletError("Too few arguments") from None

    async def _call_function(self, call: Call) -> Value:
        function = self._program.functions[call.name]
        if len(self._locals) > MAX_DEPTH:
            raise AppletError("function calls are nested too deeply")
        frame: dict[str, Value | Array] = dict.fromkeys(function.parameters)
        for name, argument in zip(function.parameters, call.arguments, strict=False):
            frame[name] = await self._argument(argument)
        self._locals.append(frame)
        try:
            await self._execute(function.body)
        except Interrupted as jump:
            if jump.kind != "return":
                raise
            return jump.value
        finally:
            self._locals.pop()
        return None

    async def _argument(self, argument: Expression) -> Value | Array:
        """An array goes by reference, anything else by value."""
        if isinstance(argument, Variable):
            local: Mapping[str, Value | Array] = self._locals[-1] if self._locals else {}
            held = local.get(argument.name) if argument.name in local else None
            if isinstance(held, dict):
                return held
            known = argument.name in local or argument.name in self._globals
            if not known and argument.name != "NF":
                return self._array(argument.name)
        return await self._value(argument)

    async def _do_length(self, arguments: tuple[Expression, ...]) -> Value:
        if not arguments:
            return float(len(self._record))
        first = arguments[0]
        if isinstance(first, Variable):
            held = self._locals[-1].get(first.name) if self._locals else None
            if isinstance(held, dict):
                return float(len(held))
            if first.name in self._arrays:
                return float(len(self._arrays[first.name]))
        return float(len(text(await self._value(first))))

    async def _do_split(self, arguments: tuple[Expression, ...]) -> Value:
        whole = text(await self._value(arguments[0]))
        assert isinstance(arguments[1], Variable)
        separator = text(self._globals["FS"])
        if len(arguments) > 2:
            separator = await self._pattern(arguments[2])
        pieces = functions.split(whole, separator)
        array = self._array(arguments[1].name)
        array.clear()
        array.update({str(at): Input(piece) for at, piece in enumerate(pieces, 1)})
        return float(len(pieces))

    async def _substitute(self, arguments: tuple[Expression, ...], count: int) -> Value:
        pattern = await self._pattern(arguments[0])
        replacement = text(await self._value(arguments[1]))
        place = arguments[2] if len(arguments) > 2 else Field(Number(0.0))
        before = text(await self._value(place))
        after, found = functions.substitute(pattern, replacement, before, count)
        if found and isinstance(place, Variable | Field | Element):
            await self._store(place, after)
        return float(found)

    async def _do_sub(self, arguments: tuple[Expression, ...]) -> Value:
        return await self._substitute(arguments, 1)

    async def _do_gsub(self, arguments: tuple[Expression, ...]) -> Value:
        return await self._substitute(arguments, 0)

    async def _do_match(self, arguments: tuple[Expression, ...]) -> Value:
        whole = text(await self._value(arguments[0]))
        found = regex(await self._pattern(arguments[1])).search(whole)
        self._globals["RSTART"] = float(found.start() + 1) if found else 0.0
        self._globals["RLENGTH"] = float(len(found.group())) if found else -1.0
        return self._globals["RSTART"]

    async def _do_sprintf(self, arguments: tuple[Expression, ...]) -> Value:
        form, *rest = [await self._value(each) for each in arguments]
        return sprintf(text(form), rest)

    async def _do_rand(self, _arguments: tuple[Expression, ...]) -> Value:
        return self._random.random()

    async def _do_srand(self, arguments: tuple[Expression, ...]) -> Value:
        before = self._seed
        now = self._process.clock.now().timestamp()
        self._seed = number(await self._value(arguments[0])) if arguments else float(int(now))
        self._random.seed(self._seed)
        return before

    async def _do_systime(self, _arguments: tuple[Expression, ...]) -> Value:
        return float(int(self._process.clock.now().timestamp()))

    async def _do_system(self, arguments: tuple[Expression, ...]) -> Value:
        command = text(await self._value(arguments[0]))
        return float(await streams.start(self._process, command, {}).wait())

    async def _do_close(self, arguments: tuple[Expression, ...]) -> Value:
        target = text(await self._value(arguments[0]))
        writer = self._writers.pop(target, None)
        if writer:
            return float(await writer.close())
        for kind in ("<", "|"):
            reader = self._readers.pop((kind, target), None)
            if reader:
                return float(await reader.close())
        return -1.0

    async def _do_fflush(self, _arguments: tuple[Expression, ...]) -> Value:
        return 0.0
