"""The ways in which an answer does not pass. Their messages are all that a learner sees."""


class NotAttempted(Exception):  # noqa: N818 - a state, not an accident
    """There is no answer yet: the file is missing, empty, or the blank as the lab gives it."""


class CheckFailed(AssertionError):  # noqa: N818 - named as pytest's own failures are
    """The answer ran, and a check saw something other than it expected."""

    def __init__(self, observed: object, expected: object, look: str = "") -> None:
        self.observed = str(observed)
        self.expected = str(expected)
        self.look = look
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = {"observed": self.observed, "expected": self.expected, "look next": self.look}
        return "\n".join(
            f"{label + ':':11}{text.replace(chr(10), chr(10) + ' ' * 11)}"
            for label, text in parts.items()
            if text
        )


class AnswerError(Exception):
    """The answer could not be used: syntax, an exception, refused by the cluster, no end."""

    def __init__(self, problem: str, *, line: int = 0, source: str = "", look: str = "") -> None:
        self.problem = problem
        self.line = line
        where = f"line {line}: " if line else ""
        shown = f"\n    {source.strip()}" if source.strip() else ""
        following = f"\nlook next: {look}" if look else ""
        super().__init__(f"{where}{problem}{shown}{following}")
