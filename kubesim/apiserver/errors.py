"""The API server's errors, each with the very Status that the real one answers.

Reasons, codes and sentences are those of k8s.io/apimachinery/pkg/api/errors.
"""

from collections.abc import Sequence
from typing import Any

NAMES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    415: "UnsupportedMediaType",
    422: "Invalid",
    500: "InternalError",
}


class StatusError(Exception):
    """An API error, carried as the metav1.Status that the client will get."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = NAMES.get(code, "") if reason is None else reason
        self.list_metadata: dict[str, Any] = {}
        self.details = details and {key: value for key, value in details.items() if value}

    @classmethod
    def from_status(cls, status: dict[str, Any]) -> "StatusError":
        """Return the error that a received Status describes."""
        return cls(
            status.get("code", 500),
            status.get("message", ""),
            reason=status.get("reason", ""),
            details=status.get("details"),
        )

    @property
    def message(self) -> str:
        """The sentence for people."""
        return str(self)

    @property
    def status(self) -> dict[str, Any]:
        """The metav1.Status, keys in the order of the real server."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.list_metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        return status | {"code": self.code}


def success(resource: str, group: str, name: str, uid: str) -> dict[str, Any]:
    """Return the Status that answers a completed deletion."""
    details = {"name": name, "group": group, "kind": resource, "uid": uid}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }


def _about(resource: str, name: str) -> dict[str, Any]:
    """Return the details of an error about one object of resource "plural[.group]"."""
    plural, _, group = resource.partition(".")
    return {"name": name, "group": group, "kind": plural}


def not_found(resource: str, name: str) -> StatusError:
    """404: no such object. `resource` is "plural[.group]"."""
    return StatusError(404, f'{resource} "{name}" not found', details=_about(resource, name))


def no_such_resource(hint: str = "") -> StatusError:
    """404: no such resource, with a hint of what to do instead."""
    message = "the server could not find the requested resource"
    return StatusError(404, f"{message}: {hint}" if hint else message, details={})


def already_exists(resource: str, name: str, *, being_deleted: bool = False) -> StatusError:
    """409: the name is taken, maybe by an object that will soon be gone."""
    state = "object is being deleted: " if being_deleted else ""
    return StatusError(
        409,
        f'{state}{resource} "{name}" already exists',
        reason="AlreadyExists",
        details=_about(resource, name),
    )


def conflict(resource: str, name: str, why: str) -> StatusError:
    """409: the write was based on something that no longer holds."""
    return StatusError(
        409,
        f'Operation cannot be fulfilled on {resource} "{name}": {why}',
        details=_about(resource, name),
    )


MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def invalid(kind: str, name: str, causes: Sequence[dict[str, str]]) -> StatusError:
    """422: the object breaks rules; `kind` is "Kind[.group]", a cause has reason, message, field.

    One cause is told as a sentence, several as a bracketed list, as Go's aggregate errors are.
    """
    told = list(dict.fromkeys(_sentence(cause) for cause in causes))
    text = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    short_kind, _, group = kind.partition(".")
    details = {"name": name, "group": group, "kind": short_kind, "causes": list(causes)}
    return StatusError(422, f'{kind} "{name}" is invalid: {text}', details=details)


def _sentence(cause: dict[str, str]) -> str:
    return f"{cause['field']}: {cause['message']}" if cause.get("field") else cause["message"]


def forbidden(resource: str, name: str, why: str) -> StatusError:
    """403: not allowed, or not allowed now."""
    about = f'{resource} "{name}" is ' if name else f"{resource} is " if resource else ""
    return StatusError(403, f"{about}forbidden: {why}", details=_about(resource, name))


def unauthorized() -> StatusError:
    """401: nobody knows who asks."""
    return StatusError(401, "Unauthorized")


def bad_request(message: str) -> StatusError:
    """400: the request cannot be understood."""
    return StatusError(400, message)


def unrecognized(kind: str, why: str, body: bytes) -> StatusError:
    """400: the body is no object of any kind; it is shown, in hexadecimal unless it is JSON."""
    shown = "<empty>"
    if body:
        is_json, more = body.startswith(b"{"), " ..." if len(body) > SHOWN_BYTES else ""
        start = body[:SHOWN_BYTES]
        shown = (start.decode(errors="replace") if is_json else start.hex()) + more
    return bad_request(
        f"the object provided is unrecognized (must be of type {kind}): {why} ({shown})"
    )


SHOWN_BYTES = 30


def expired(message: str) -> StatusError:
    """410: the asked-for moment of history is compacted away."""
    return StatusError(410, message, reason="Expired")


def method_not_supported(resource: str = "") -> StatusError:
    """405: the resource has no such verb."""
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, message, details=_about(resource, ""))


def unsupported_media_type(supported: Sequence[str]) -> StatusError:
    """415: the body's format is not spoken here."""
    message = (
        f"the body of the request was in an unknown format - "
        f"accepted media types include: {', '.join(supported)}"
    )
    return StatusError(415, message)


def not_acceptable(message: str, details: dict[str, Any] | None = None) -> StatusError:
    """406: none of the forms that the client accepts is spoken here."""
    return StatusError(406, message, details=details)


def too_large(message: str) -> StatusError:
    """413: more than the server wants to read."""
    return StatusError(413, message, reason="RequestEntityTooLarge")


def timeout(message: str) -> StatusError:
    """504: the server gave up waiting."""
    return StatusError(504, message, reason="Timeout")


def internal(message: str) -> StatusError:
    """500: a defect in the server."""
    return StatusError(
        500, f"Internal error occurred: {message}", details={"causes": [{"message": message}]}
    )
