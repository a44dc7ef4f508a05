"""The disruption controller: how many Pods of a PodDisruptionBudget may go now.

Kubernetes' `pkg/controller/disruption/disruption.go`. Where the budget is a share, or counts those
that may be missing, the number of Pods there should be comes from their owners' scale.
"""

from collections import Counter
from datetime import timedelta

from kubesim.apimachinery.intstr import scaled
from kubesim.apimachinery.labels import matches
from kubesim.apimachinery.objects import (
    Object,
    condition_status,
    controller_of,
    is_being_deleted,
    key,
    labels_of,
    parse_time,
    pod_is_finished,
    split_key,
    timestamp,
)
from kubesim.clientgo.absence import NOT_FOUND, tolerating
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.controllers.controller import Controller

DELETION_TIMEOUT = timedelta(minutes=2)  # after which an evicted Pod that stays counts again
SCALED = {  # kinds with a scale, by the resource that has it
    "ReplicaSet": "replicasets.apps",
    "ReplicationController": "replicationcontrollers",
    "StatefulSet": "statefulsets.apps",
}
CONDITION = "DisruptionAllowed"


class DisruptionController(Controller):
    """Keys are namespace/name of PodDisruptionBudgets."""

    name = "disruption-controller"
    component = "controllermanager"

    def watch(self, informers: InformerFactory) -> None:
        """Budgets, and Pods that one of them selects, fill the queue."""
        budgets, pods = (
            informers.informer("poddisruptionbudgets.policy"),
            informers.informer("pods"),
        )
        self.budgets, self.pods = budgets.cache, pods.cache
        self.owners = {kind: informers.informer(name).cache for kind, name in SCALED.items()}
        self.deployments = informers.informer("deployments.apps").cache
        budgets.add_handler(self.enqueue)
        pods.add_handler(self._pod_changed)

    def _pod_changed(self, change: Change) -> None:
        states = [labels_of(pod) for pod in (change.old, change.new) if pod]
        namespace = change.object["metadata"]["namespace"]
        for budget in self.budgets.list(namespace):
            selector = budget["spec"].get("selector")
            if any(matches(selector, labels) for labels in states):
                self.queue.add(key(budget))

    async def sync(self, key: str) -> None:
        """Count, and write what may be disrupted into the status."""
        namespace, name = split_key(key)
        budget = self.budgets.get(name, namespace)
        if budget is None:
            return
        selector = budget["spec"].get("selector")
        pods = [
            pod
            for pod in self.pods.list(namespace)
            if matches(selector, labels_of(pod)) and not pod_is_finished(pod)
        ]
        if not pods:
            self.recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            expected, desired = self._wanted(budget, pods)
        except LookupError as error:
            await self._fail(budget, str(error))
            return
        await self._publish(budget, pods, expected, desired)

    def _wanted(self, budget: Object, pods: list[Object]) -> tuple[int, int]:
        """How many Pods there should be, and how many of them healthy. Raises LookupError."""
        spec = budget["spec"]
        least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
        if isinstance(least, int):
            return len(pods), least
        if least is None and most is None:
            return len(pods), 0
        expected = self._expected(pods)
        if most is not None:
            return expected, max(expected - scaled(most, expected), 0)
        return expected, scaled(least, expected)

    def _expected(self, pods: list[Object]) -> int:
        """The sum of the scales of all owners, each counted once."""
        scales: dict[str, int] = {}
        for pod in pods:
            owner = controller_of(pod)
            if owner is None:
                what = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
                raise LookupError(f'found no controllers for pod "{what}"')
            if owner["uid"] not in scales:
                scales[owner["uid"]] = self._scale(owner, pod["metadata"]["namespace"])
        return sum(scales.values())

    def _scale(self, owner: Object, namespace: str) -> int:
        cache = self.owners.get(owner["kind"])
        if cache is None:
            resource = f"{owner['kind'].lower()}s.{owner['apiVersion'].partition('/')[0]}"
            raise LookupError(f"{resource} does not implement the scale subresource")
        found = cache.get(owner["name"], namespace)
        if found is None:
            return 0
        above = controller_of(found)
        if above and above["kind"] == "Deployment":
            deployment = self.deployments.get(above["name"], namespace)
            found = deployment or found
        return int(found["spec"].get("replicas", 1))

    async def _publish(
        self, budget: Object, pods: list[Object], expected: int, desired: int
    ) -> None:
        disrupted = self._still_disrupted(budget, pods)
        healthy = sum(
            condition_status(pod, "Ready") == "True"
            and not is_being_deleted(pod)
            and pod["metadata"]["name"] not in disrupted
            for pod in pods
        )
        allowed = max(healthy - desired, 0) if expected > 0 else 0
        enough = allowed > 0
        condition = {
            "type": CONDITION,
            "status": "True" if enough else "False",
            "reason": "SufficientPods" if enough else "InsufficientPods",
        }
        status = {
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "disruptionsAllowed": allowed,
            "expectedPods": expected,
            "disruptedPods": disrupted or None,
            "conditions": [self._dated(budget, condition)],
        }
        await self._write(budget, status)

    def _still_disrupted(self, budget: Object, pods: list[Object]) -> dict[str, str]:
        """The evicted Pods whose deletion has not been seen yet."""
        moments = (budget.get("status") or {}).get("disruptedPods") or {}
        present = Counter(p["metadata"]["name"] for p in pods if not is_being_deleted(p))
        kept = {}
        for name, moment in moments.items():
            left = parse_time(moment) + DELETION_TIMEOUT - self.clock.now()
            if name in present and left > timedelta(0):
                kept[name] = moment
                self.queue.add_after(key(budget), left.total_seconds())
        return kept

    async def _fail(self, budget: Object, why: str) -> None:
        message = f"Failed to calculate the number of expected pods: {why}"
        self.recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", message)
        condition = {"type": CONDITION, "status": "False", "reason": "SyncFailed", "message": why}
        status = {"disruptionsAllowed": 0, "conditions": [self._dated(budget, condition)]}
        await self._write(budget, status)

    def _dated(self, budget: Object, condition: Object) -> Object:
        """A condition with its observed generation, and the time since when it holds."""
        generation = budget["metadata"].get("generation", 0)
        old = [
            c
            for c in (budget.get("status") or {}).get("conditions") or ()
            if c["type"] == CONDITION
        ]
        same = bool(old) and old[0]["status"] == condition["status"]
        since = old[0]["lastTransitionTime"] if same else timestamp(self.clock.now())
        dated = condition | {"observedGeneration": generation, "lastTransitionTime": since}
        return {"message": ""} | dated

    async def _write(self, budget: Object, status: Object) -> None:
        generation = budget["metadata"].get("generation", 0)
        whole = (budget.get("status") or {}) | status | {"observedGeneration": generation}
        whole = {name: value for name, value in whole.items() if value is not None}
        if whole == budget.get("status"):
            return
        with tolerating(NOT_FOUND):
            changed = budget | {"status": whole}
            await self.client.update("poddisruptionbudgets.policy", changed, subresource="status")
