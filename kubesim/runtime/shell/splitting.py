"""Splitting expansions into fields."""

import re

from kubesim.runtime.shell.syntax import Parameter

Fragment = tuple[str, bool]  # text, and whether it is quoted


def separation(separators: str) -> str:
    """Return a pattern for what ends a field: blanks together, or one other separator."""
    blank = "".join(char for char in separators if char in " \t\n")
    other = "".join(char for char in separators if char not in " \t\n")
    space = f"[{re.escape(blank)}]" if blank else ""
    patterns = [f"{space}*[{re.escape(other)}]{space}*"] if other and blank else []
    patterns += [f"[{re.escape(other)}]"] if other and not blank else []
    patterns += [f"{space}+"] if blank else []
    return "|".join(patterns)


class Splitter:
    """Collects fragments into fields."""

    def __init__(self, separators: str) -> None:
        self._separators = separators
        self._pattern = separation(separators)
        self._fields: list[list[Fragment]] = []
        self._open = False

    def append(self, text: str, quoted: bool) -> None:
        """Add a piece to the field that is being collected."""
        if not self._open:
            self._fields.append([])
            self._open = True
        self._fields[-1].append((text, quoted))

    def close(self) -> None:
        """End the field."""
        self._open = False

    def split(self, text: str) -> None:
        """Add an unquoted expansion: separators in it end fields."""
        pieces = re.split(self._pattern, text) if self._pattern else [text]
        for index, piece in enumerate(pieces):
            if index:
                self.close()
            if piece:
                self.append(piece, quoted=False)

    def arguments(self, arguments: list[str], part: Parameter) -> None:
        """Add `$@` or `$*`."""
        if part.quoted and part.name == "*":
            self.append(self._separators[:1].join(arguments), quoted=True)
            return
        for index, argument in enumerate(arguments):
            if index:
                self.close()
            if part.quoted:
                self.append(argument, quoted=True)
            else:
                self.split(argument)

    def finish(self) -> list[list[Fragment]]:
        """Return the fields."""
        return self._fields


def quote(text: str) -> str:
    """Return `text` so that a shell reads it as one word."""
    if text and re.fullmatch(r"[\w@%+=:,./-]+", text):
        return text
    return "'" + text.replace("'", "'\"'\"'") + "'"
