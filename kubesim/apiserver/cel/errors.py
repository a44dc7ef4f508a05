"""What can go wrong: with an expression's text, and with its evaluation."""


class CELError(Exception):
    """An expression has no value; the message is that of cel-go."""


class CompileError(Exception):
    """A text is no expression. The message points into it, as cel-go's does."""

    def __init__(self, text: str, at: int, message: str) -> None:
        line = text.count("\n", 0, at) + 1
        column = at - (text.rfind("\n", 0, at) + 1)
        source = text.splitlines()[line - 1] if text else ""
        shown = f" | {source}\n | {'.' * column}^"
        super().__init__(f"ERROR: <input>:{line}:{column + 1}: {message}\n{shown}")
