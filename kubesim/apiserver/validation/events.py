"""Validation of Events in the group events.k8s.io (pkg/apis/core/validation/events.go)."""

from collections.abc import Iterator
from typing import Any

from kubesim.apiserver.patch.fields import Cause, invalid, required
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.metadata import each

Object = dict[str, Any]
LONGEST = 128
LONGEST_NOTE = 1024


def event(obj: Object) -> Iterator[Cause]:
    """Check an Event; one that began in core/v1 has no time of its own and may lack the rest."""
    if "eventTime" not in obj:
        yield from _legacy(obj)
        return
    controller = obj.get("reportingController", "")
    if not controller:
        yield required("reportingController")
    yield from each("reportingController", controller, names.qualified_name(controller))
    instance = obj.get("reportingInstance", "")
    if not instance:
        yield required("reportingInstance")
    for field in ("action", "reason"):
        value = obj.get(field, "")
        if not value:
            yield required(field)
        if len(value) > LONGEST:
            yield invalid(field, "", f"can have at most {LONGEST} characters")
    if len(obj.get("note", "")) > LONGEST_NOTE:
        yield invalid("message", "", f"can have at most {LONGEST_NOTE} characters")
    kind = obj.get("type", "")
    if kind not in ("Normal", "Warning"):
        yield invalid("type", "", f"has invalid value: {kind}")
    yield from _legacy(obj)


def _legacy(obj: Object) -> Iterator[Cause]:
    namespace = obj["metadata"].get("namespace", "")
    about = obj.get("regarding", {}).get("namespace", "")
    if about != namespace and (about or namespace not in ("default", "kube-system")):
        yield invalid("involvedObject.namespace", about, "does not match event.namespace")
