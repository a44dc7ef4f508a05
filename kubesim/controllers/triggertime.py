"""When the last change happened that endpoints show: for those who measure how fast they follow.

Kubernetes' `staging/src/k8s.io/endpointslice/trigger_time_tracker.go`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from kubesim.apimachinery.objects import Object, condition, key

ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass
class _Seen:
    service: str
    pods: dict[str, str] = field(default_factory=dict)


class TriggerTimes:
    """Remembers, of each Service, the times that the last look at it has seen."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def last_change(self, service: Object, pods: Iterable[Object]) -> str:
        """The earliest of the changes since the last look; empty when there was none.

        A Service changes when it is created, a Pod when its readiness does.
        """
        created = service["metadata"]["creationTimestamp"]
        known = self._seen.get(key(service))
        before = known or _Seen("")
        times = {pod["metadata"]["name"]: _readiness_changed(pod) for pod in pods}
        self._seen[key(service)] = _Seen(created, times)
        if known is None:
            return str(created)
        changes = [moment for name, moment in times.items() if moment > before.pods.get(name, "")]
        changes += [created] if created > before.service else []
        return min(changes, default="")

    def forget(self, service: str) -> None:
        """The Service is gone."""
        self._seen.pop(service, None)


def annotated(metadata: Object, moment: str) -> Object:
    """Metadata that tells the time of the last change; without one it tells none."""
    others = {n: t for n, t in (metadata.get("annotations") or {}).items() if n != ANNOTATION}
    return {**metadata, "annotations": others | ({ANNOTATION: moment} if moment else {})}


def _readiness_changed(pod: Object) -> str:
    return str((condition(pod, "Ready") or {}).get("lastTransitionTime") or "")
