"""The command line of awk; the language itself is imported when a program in it first runs."""

from kubesim.runtime.process import Process
from kubesim.runtime.programs.applet import AppletError, Options, UsageError, applet, content


@applet("awk", "+F:v:f:e:", "[OPTIONS] [AWK_PROGRAM] [FILE]...")
async def awk(process: Process, options: Options, operands: list[str]) -> int:
    """Run a program over the records of files."""
    from kubesim.runtime.programs.awk.interpreter import Interpreter
    from kubesim.runtime.programs.awk.lexer import unescape
    from kubesim.runtime.programs.awk.parser import parse
    from kubesim.runtime.programs.awk.syntax import AwkSyntaxError

    source = await _source(process, options, operands)
    try:
        program = parse(source)
    except AwkSyntaxError as fault:
        raise AppletError(f"cmd. line:1: {fault}") from None
    interpreter = Interpreter(process, program, operands)
    if "F" in options:
        separator = options.value("F")
        interpreter.assign("FS", "\t" if separator == "t" else unescape(separator))
    for assignment in options.get("v", []):
        name, _, value = assignment.partition("=")
        interpreter.assign(name, unescape(value))
    return await interpreter.run()


async def _source(process: Process, options: Options, operands: list[str]) -> str:
    """The program: the text of -e and -f, or the first operand, which is taken away."""
    parts = list(options.get("e", []))
    for name in options.get("f", []):
        parts.append((await content(process, name)).decode(errors="surrogateescape"))
    if not parts:
        if not operands:
            raise UsageError("")
        parts.append(operands.pop(0))
    return "\n".join(parts)
