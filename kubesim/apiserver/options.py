"""What a client may ask for beside the object: the options of a list, a watch and a write.

The rules are those of k8s.io/apimachinery/pkg/apis/meta/internalversion/validation (lists and
watches) and .../meta/v1/validation (writes).
"""

from collections.abc import Iterator

from kubesim.apiserver import errors
from kubesim.apiserver.patch.fields import Cause, forbidden, invalid, not_supported, too_long
from kubesim.apiserver.request import Request

KINDS = {
    "create": "CreateOptions",
    "update": "UpdateOptions",
    "patch": "PatchOptions",
    "delete": "DeleteOptions",
    "deletecollection": "DeleteOptions",
}
EXACT, NOT_OLDER = "Exact", "NotOlderThan"
MATCH = "resourceVersionMatch"
LONGEST_MANAGER = 128
VALIDATIONS = ("", "Ignore", "Strict", "Warn")


def check_list(request: Request) -> None:
    """Refuse options of a list that contradict each other. Raises 422."""
    _refuse("ListOptions", list(_list_causes(request)))


def _list_causes(request: Request) -> Iterator[Cause]:
    match, version = request.parameter(MATCH), request.parameter("resourceVersion")
    if match and not version:
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        yield forbidden(MATCH, why)
    if match and request.parameter("continue"):
        yield forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided")
    if match not in ("", EXACT, NOT_OLDER):
        yield not_supported(MATCH, match, (EXACT, NOT_OLDER, ""))
    if match == EXACT and version == "0":
        why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        yield forbidden(MATCH, why)
    if "sendInitialEvents" in request.query:
        yield forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")


def check_watch(request: Request) -> None:
    """Refuse options of a watch that contradict each other. Raises 422."""
    _refuse("ListOptions", list(_watch_causes(request)))


def _watch_causes(request: Request) -> Iterator[Cause]:
    match, initial = request.parameter(MATCH), "sendInitialEvents" in request.query
    if initial and match != NOT_OLDER:
        why = f"sendInitialEvents requires setting resourceVersionMatch to {NOT_OLDER}"
        yield forbidden(MATCH, why)
    if not match:
        return
    if not initial:
        why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        yield forbidden(MATCH, why)
    if match != NOT_OLDER:
        yield not_supported(MATCH, match, (NOT_OLDER,))
    if request.parameter("continue"):
        yield forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided")


def check_write(request: Request, verb: str) -> None:
    """Refuse options of a write that mean nothing. Raises 422."""
    _refuse(KINDS[verb], list(_write_causes(request, verb)))


def _write_causes(request: Request, verb: str) -> Iterator[Cause]:
    manager = request.parameter("fieldManager")
    if len(manager.encode()) > LONGEST_MANAGER:
        yield too_long("fieldManager", LONGEST_MANAGER)
    for position, character in enumerate(manager):
        if not character.isprintable():
            why = f"invalid character U+{ord(character):04X} (at position {position})"
            yield invalid("fieldManager", manager, why)
    dry_run = request.query.get("dryRun", [])
    if dry_run and set(dry_run) != {"All"}:
        shown = ", ".join(f'"{value}"' for value in dry_run)
        message = f'Unsupported value: []string{{{shown}}}: supported values: "All"'
        yield {"reason": "FieldValueNotSupported", "message": message, "field": "dryRun"}
    validation = request.parameter("fieldValidation")
    if validation not in VALIDATIONS and verb in ("create", "update", "patch"):
        yield not_supported("fieldValidation", validation, VALIDATIONS)


def _refuse(kind: str, causes: list[Cause]) -> None:
    if causes:
        raise errors.invalid(f"{kind}.meta.k8s.io", "", causes)
