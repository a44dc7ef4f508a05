"""Whether a rule reads fields that the schema has, as far as the schema says."""

from typing import Any

from kubesim.apiserver.apiextensions.objects import EMBEDDED, PRESERVE, TYPE_META
from kubesim.apiserver.cel import CompileError
from kubesim.apiserver.cel.interpreter import unescaped
from kubesim.apiserver.cel.program import Program, parts
from kubesim.apiserver.cel.syntax import Expression, Name, Select

Object = dict[str, Any]
VARIABLES = ("self", "oldSelf")


def check_fields(program: Program, schema: Object, *, root: bool) -> None:
    """Refuse a rule about a field that the schema does not have. Raises CompileError."""
    for part in parts(program.expression):
        if not isinstance(part, Select) or part.optional:
            continue
        described = _schema_at(part.operand, schema)
        name = unescaped(part.field)
        if described is None or not _is_closed(described):
            continue
        implied = (root and described is schema) or described.get(EMBEDDED)
        known = {*(described.get("properties") or ()), *(TYPE_META if implied else ())}
        if name not in known:
            raise CompileError(program.text, part.at, f"undefined field '{part.field}'")


def _schema_at(part: Expression, schema: Object) -> Object | None:
    """What the schema says of a chain of fields that begins with self or oldSelf."""
    if isinstance(part, Name):
        return schema if part.name in VARIABLES else None
    if isinstance(part, Select):
        outer = _schema_at(part.operand, schema)
        found: Object | None = (outer or {}).get("properties", {}).get(unescaped(part.field))
        return found
    return None


def _is_closed(schema: Object) -> bool:
    """Whether an object has the fields that its schema names and no others."""
    open_ended = schema.get(PRESERVE) or schema.get("additionalProperties")
    return schema.get("type") == "object" and not open_ended
