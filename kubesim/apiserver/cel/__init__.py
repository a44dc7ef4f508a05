"""CEL, the Common Expression Language, as Kubernetes' API uses it.

The language is https://github.com/google/cel-spec, the further functions those of
https://kubernetes.io/docs/reference/using-api/cel/. Expressions are parsed once and evaluated over
JSON values; types are found out while evaluating, so that only names are checked before.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from kubesim.apiserver.cel.errors import CELError, CompileError

if TYPE_CHECKING:
    from kubesim.apiserver.cel.program import Program

__all__ = ["CELError", "CompileError", "compiled"]


def compiled(text: str, declared: Collection[str]) -> "Program":
    """Return the program of a text that may read the declared variables. Raises CompileError.

    The language is loaded with the first expression: most clusters have none.
    """
    from kubesim.apiserver.cel import program

    return program.compiled(text, declared)
