"""POSIX regular expressions in terms of Python's."""

import re

CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "blank": r" \t",
    "punct": re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    "xdigit": "0-9a-fA-F",
}
BRACKET = re.compile(r"\[\^?\]?(?:\[:\w+:\]|[^\]])*\]")
BASIC_SPECIAL = "(){}|+?"


def regex(pattern: str, extended: bool) -> str:
    r"""Return a Python pattern for a basic or extended POSIX one.

    In a basic expression `\(`, `\{`, `\|`, `\+` and `\?` are special and the bare ones are not.
    """
    result, at = [], 0
    while at < len(pattern):
        bracket = BRACKET.match(pattern, at)
        char = pattern[at]
        if bracket:
            result.append(_bracket(bracket.group()))
            at = bracket.end()
            continue
        if char == "\\" and at + 1 < len(pattern):
            following = pattern[at + 1]
            special = not extended and following in BASIC_SPECIAL
            result.append(
                following if special else {"<": r"\b", ">": r"\b"}.get(following, char + following)
            )
            at += 2
            continue
        literal = not extended and (char in BASIC_SPECIAL or (char == "*" and at in (0,)))
        result.append("\\" + char if literal else char)
        at += 1
    return "".join(result)


def _bracket(text: str) -> str:
    negated = text.startswith("[^")
    body = text[2 if negated else 1 : -1]
    body = body.replace("\\", "\\\\")
    if body.startswith("]"):
        body = "\\" + body
    body = body.replace("[", "\\[")
    for name, members in CLASSES.items():
        body = body.replace(f"\\[:{name}:]", members)
    return f"[{'^' if negated else ''}{body}]"
