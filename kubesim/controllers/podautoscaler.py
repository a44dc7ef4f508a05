"""The HorizontalPodAutoscaler controller: as many Pods as their load asks for.

Kubernetes' `pkg/controller/podautoscaler/horizontal.go`: every 15 s it reads the target's scale and
the metrics, computes how many replicas would bring each metric to its target, takes the largest
number, and moves there as the behavior allows. How a metric becomes a number of replicas is in
podautoscaler_replicas, how fast one may move in podautoscaler_behavior.
"""

from dataclasses import dataclass

from kubesim.apimachinery.objects import Object, key, split_key, timestamp
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.absence import NOT_FOUND, tolerating
from kubesim.clientgo.informer import InformerFactory
from kubesim.controllers.controller import Controller
from kubesim.controllers.podautoscaler_behavior import Behavior, History
from kubesim.controllers.podautoscaler_replicas import MetricError, Proposal, ReplicaCalculator

RESOURCE = "horizontalpodautoscalers.autoscaling"
INTERVAL = 15.0
CONDITIONS = ("AbleToScale", "ScalingActive", "ScalingLimited")


@dataclass
class _Outcome:
    """What one look at an autoscaler comes to."""

    current: int
    desired: int
    metrics: list[Object]
    reason: str = ""


class HorizontalController(Controller):
    """Keys are namespace/name of HorizontalPodAutoscalers."""

    name = "horizontal-pod-autoscaler"

    def watch(self, informers: InformerFactory) -> None:
        """New autoscalers fill the queue; each comes back every 15 s by itself."""
        autoscalers, pods = informers.informer(RESOURCE), informers.informer("pods")
        self.autoscalers, self.pods = autoscalers.cache, pods.cache
        self._calculator = ReplicaCalculator(self.client, self.pods, self.clock)
        self._histories: dict[str, History] = {}
        autoscalers.add_handler(
            lambda change: self.queue.add(key(change.object)) if change.old is None else None
        )

    async def sync(self, key: str) -> None:
        """Look at one autoscaler, and again in 15 s."""
        namespace, name = split_key(key)
        autoscaler = self.autoscalers.get(name, namespace)
        if autoscaler is None:
            self._histories.pop(key, None)
            return
        self.queue.add_after(key, INTERVAL)
        with tolerating(NOT_FOUND):
            await self._reconcile(autoscaler, self._histories.setdefault(key, History()))

    async def _reconcile(self, autoscaler: Object, history: History) -> None:
        conditions = _Conditions(autoscaler, timestamp(self.clock.now()))
        try:
            scale, resource = await self._scale(autoscaler)
        except (StatusError, LookupError) as error:
            self._warn(autoscaler, "FailedGetScale", str(error))
            told = f"the HPA controller was unable to get the target's current scale: {error}"
            conditions.set("AbleToScale", "False", "FailedGetScale", told)
            await self._publish(autoscaler, conditions, None)
            return
        told = "the HPA controller was able to get the target's current scale"
        conditions.set("AbleToScale", "True", "SucceededGetScale", told)
        outcome = await self._outcome(autoscaler, scale, history, conditions)
        if outcome and outcome.desired != outcome.current:
            await self._rescale(autoscaler, scale, resource, outcome, history, conditions)
        await self._publish(autoscaler, conditions, outcome)

    async def _scale(self, autoscaler: Object) -> tuple[Object, str]:
        """The scale of the target, and the resource that it is of."""
        target = autoscaler["spec"]["scaleTargetRef"]
        group = target.get("apiVersion", "").rpartition("/")[0]
        for resource in await self.client.discover():
            if (resource.group, resource.kind) == (group, target["kind"]):
                namespace = autoscaler["metadata"]["namespace"]
                name = resource.full_name
                found = await self.client.get(name, target["name"], namespace, subresource="scale")
                return found, name
        told = f'no matches for kind "{target["kind"]}" in group "{group}"'
        raise LookupError(told)

    async def _outcome(
        self, autoscaler: Object, scale: Object, history: History, conditions: "_Conditions"
    ) -> _Outcome | None:
        spec = autoscaler["spec"]
        current = scale["spec"].get("replicas", 0)
        least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
        if current == 0 and least != 0:
            told = "scaling is disabled since the replica count of the target is zero"
            conditions.set("ScalingActive", "False", "ScalingDisabled", told)
            return _Outcome(0, 0, [])
        if current > most:
            return _Outcome(current, most, [], "Current number of replicas above Spec.MaxReplicas")
        if current < least:
            return _Outcome(current, least, [], "Current number of replicas below Spec.MinReplicas")
        return await self._by_metrics(autoscaler, scale, history, conditions)

    async def _by_metrics(
        self, autoscaler: Object, scale: Object, history: History, conditions: "_Conditions"
    ) -> _Outcome | None:
        current = scale["spec"].get("replicas", 0)
        proposals, failures = await self._proposals(autoscaler, scale)
        best = max(proposals, key=lambda each: each.replicas, default=None)
        if best is None or (failures and best.replicas < current):
            failure = failures[0]
            conditions.set("ScalingActive", "False", failure.reason, failure.told)
            return None
        told = f"the HPA was able to successfully calculate a replica count from {best.name}"
        conditions.set("ScalingActive", "True", "ValidMetricFound", told)
        behavior = Behavior(autoscaler["spec"], self.clock.monotonic(), history)
        desired, limits = behavior.settle(current, best.replicas)
        for limit in limits:
            conditions.set(limit.kind, limit.status, limit.reason, limit.message)
        statuses = [each.status for each in proposals]
        direction = "above" if desired > current else "below"
        reason = (
            "All metrics below target" if desired < current else f"{best.name} {direction} target"
        )
        return _Outcome(current, desired, statuses, reason)

    async def _proposals(
        self, autoscaler: Object, scale: Object
    ) -> tuple[list[Proposal], list[MetricError]]:
        proposals, failures = [], []
        for metric in autoscaler["spec"].get("metrics") or ():
            try:
                proposals.append(await self._calculator.propose(autoscaler, scale, metric))
            except MetricError as error:
                failures.append(error)
                self._warn(autoscaler, error.reason, error.detail)
        if failures and not proposals:
            self._warn(autoscaler, "FailedComputeMetricsReplicas", _all_failed(failures))
        return proposals, failures

    async def _rescale(
        self,
        autoscaler: Object,
        scale: Object,
        resource: str,
        outcome: _Outcome,
        history: History,
        conditions: "_Conditions",
    ) -> None:
        changed = scale | {"spec": scale["spec"] | {"replicas": outcome.desired}}
        size = f"New size: {outcome.desired}; reason: {outcome.reason}"
        try:
            await self.client.update(resource, changed, subresource="scale")
        except StatusError as error:
            self._warn(autoscaler, "FailedRescale", f"{size}; error: {error}")
            told = f"the HPA controller was unable to update the target scale: {error}"
            conditions.set("AbleToScale", "False", "FailedUpdateScale", told)
            outcome.desired = outcome.current
            return
        history.moved(self.clock.monotonic(), outcome.desired - outcome.current)
        self.recorder.event(autoscaler, "Normal", "SuccessfulRescale", size)
        told = f"the HPA controller was able to update the target scale to {outcome.desired}"
        conditions.set("AbleToScale", "True", "SucceededRescale", told)
        conditions.rescaled = True

    def _warn(self, autoscaler: Object, reason: str, message: str) -> None:
        self.recorder.event(autoscaler, "Warning", reason, message)

    async def _publish(
        self, autoscaler: Object, conditions: "_Conditions", outcome: _Outcome | None
    ) -> None:
        status = dict(autoscaler.get("status") or {})
        if outcome:
            status |= {
                "currentReplicas": outcome.current,
                "desiredReplicas": outcome.desired,
                "currentMetrics": outcome.metrics or None,
            }
        if conditions.rescaled:
            status["lastScaleTime"] = conditions.now
        status.setdefault("desiredReplicas", 0)
        status["conditions"] = conditions.ordered()
        status = {name: value for name, value in status.items() if value is not None}
        if status != autoscaler.get("status"):
            changed = autoscaler | {"status": status}
            await self.client.update(RESOURCE, changed, subresource="status")


def _all_failed(failures: list[MetricError]) -> str:
    return (
        f"invalid metrics ({len(failures)} invalid out of {len(failures)}), "
        f"first error is: {failures[0].told_briefly}"
    )


class _Conditions:
    """An autoscaler's conditions while it is looked at: a new status has a new time."""

    def __init__(self, autoscaler: Object, now: str) -> None:
        listed = (autoscaler.get("status") or {}).get("conditions") or ()
        self._found = {each["type"]: each for each in listed}
        self.now = now
        self.rescaled = False

    def set(self, kind: str, status: str, reason: str, message: str) -> None:
        """Set a condition."""
        old = self._found.get(kind)
        same = old is not None and old["status"] == status
        since = old["lastTransitionTime"] if old and same else self.now
        self._found[kind] = {
            "type": kind,
            "status": status,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        }

    def ordered(self) -> list[Object]:
        """Return all conditions, in their usual order."""
        return [self._found[kind] for kind in CONDITIONS if kind in self._found]
