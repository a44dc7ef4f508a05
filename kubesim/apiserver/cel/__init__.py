"""CEL, the Common Expression Language, as Kubernetes' API uses it.

The language is https://github.com/google/cel-spec, the further functions those of
https://kubernetes.io/docs/reference/using-api/cel/. Expressions are parsed once and evaluated over
JSON values; types are found out while evaluating, so that only names are checked before.
"""

from kubesim.apiserver.cel.errors import CELError, CompileError
from kubesim.apiserver.cel.program import Program, compiled

__all__ = ["CELError", "CompileError", "Program", "compiled"]
