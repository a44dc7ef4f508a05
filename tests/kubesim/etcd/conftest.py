"""Histories of concurrent operations, and whether they can be explained."""

from dataclasses import dataclass

import pytest

NEVER = float("inf")


@dataclass(frozen=True)
class Operation:
    """A read ("r") or write ("w") of a value, and when it was asked and answered.

    One without an answer may have happened at any time after it was asked, or not at all.
    """

    kind: str
    value: object
    asked: float
    answered: float = NEVER


def is_linearizable(history, initial=None):
    """Whether some order of the operations explains all answers.

    The search of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with a memory,
    as in porcupine: take, one after the other, an operation that began before any of those still
    to be placed had ended; go back when a read does not see what was written last.
    """
    operations = [o for o in history if o.kind == "w" or o.answered != NEVER]
    certain = frozenset(i for i, o in enumerate(operations) if o.answered != NEVER)
    seen = set()
    stack = [(frozenset(range(len(operations))), initial)]
    while stack:
        left, value = stack.pop()
        if not left & certain:
            return True
        first_answer = min(operations[i].answered for i in left)
        for i in left:
            operation = operations[i]
            if operation.asked > first_answer:
                continue
            if operation.kind == "r" and operation.value != value:
                continue
            state = (left - {i}, operation.value if operation.kind == "w" else value)
            if state not in seen:
                seen.add(state)
                stack.append(state)
    return False


@pytest.fixture
def operation():
    return Operation


@pytest.fixture
def linearizable():
    return is_linearizable
