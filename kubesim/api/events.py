"""Events in two groups: core/v1, which is stored, and events.k8s.io/v1, which names things anew.

See https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/ and
pkg/apis/events/v1/conversion.go.
"""

from typing import Any

from kubesim.api.resources import Resource

Object = dict[str, Any]
RENAMED = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
STORED = {new: old for old, new in RENAMED.items()}


class EventV1(Resource):
    """events.k8s.io/v1: the same objects under other names."""

    def from_storage(self, obj: Object) -> Object:
        """Return a stored Event as this group shows it."""
        renamed = {RENAMED.get(field, field): value for field, value in obj.items()}
        return renamed | {"apiVersion": self.api_version}

    def to_storage(self, obj: Object) -> Object:
        """Return an Event of this group as it is stored."""
        return as_core(obj)


def as_core(obj: Object) -> Object:
    """Return an Event of either group as core/v1 has it."""
    return {STORED.get(field, field): value for field, value in obj.items()} | {"apiVersion": "v1"}


EVENTS = EventV1(
    "events",
    "Event",
    "events.k8s.io",
    short_names=("ev",),
    field_labels=(
        *("regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid"),
        *("regarding.apiVersion", "regarding.resourceVersion", "regarding.fieldPath"),
        *("reason", "reportingController", "type"),
    ),
)
