"""The strategies of the resources that run Pods (pkg/registry/apps, pkg/registry/batch)."""

from typing import Any

from kubesim.apiserver.registry.strategy import Strategy
from kubesim.apiserver.registry.workload_defaults import DAEMON_COUNTERS

Object = dict[str, Any]
JOB_LABELS = {  # with the names from before 1.27, and what they say
    "name": ("job-name", "batch.kubernetes.io/job-name"),
    "uid": ("controller-uid", "batch.kubernetes.io/controller-uid"),
}


class DeploymentStrategy(Strategy):
    """Deployments: their controller writes annotations along with the status."""

    counts_generation = True
    status_metadata = ("annotations", "finalizers")

    def is_new_generation(self, new: Object, old: Object) -> bool:
        """Annotations count too: they are copied to ReplicaSets."""
        annotations = [obj["metadata"].get("annotations") for obj in (new, old)]
        return super().is_new_generation(new, old) or annotations[0] != annotations[1]


class ReplicaSetStrategy(Strategy):
    """ReplicaSets always tell how many replicas there are."""

    counts_generation = True

    def initial_status(self, obj: Object) -> Object:
        """A new ReplicaSet has none."""
        return {"replicas": 0}


class ReplicationControllerStrategy(ReplicaSetStrategy):
    """ReplicationControllers: older than the garbage collector."""

    orphans_by_default = True


class DaemonSetStrategy(Strategy):
    """DaemonSets: an annotation counts the changes of the template, as before ControllerRevisions.

    In the real one it is an internal field that only the conversion to v1 makes an annotation.
    """

    counts_generation = True
    TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"

    def prepare_create(self, obj: Object) -> None:
        """The first template."""
        super().prepare_create(obj)
        self._set_template_generation(obj, "1")

    def initial_status(self, obj: Object) -> Object:
        """A new DaemonSet runs nowhere."""
        return dict.fromkeys(DAEMON_COUNTERS, 0)

    def prepare_update(self, new: Object, old: Object) -> None:
        """One more template, perhaps."""
        super().prepare_update(new, old)
        count = int(old["metadata"]["annotations"][self.TEMPLATE_GENERATION])
        count += new["spec"]["template"] != old["spec"]["template"]
        self._set_template_generation(new, str(count))

    def _set_template_generation(self, obj: Object, count: str) -> None:
        annotations = obj["metadata"].get("annotations", {})
        obj["metadata"]["annotations"] = annotations | {self.TEMPLATE_GENERATION: count}


class StatefulSetStrategy(Strategy):
    """StatefulSets always tell how many replicas there are."""

    counts_generation = True

    def initial_status(self, obj: Object) -> Object:
        """A new StatefulSet has none."""
        return {"replicas": 0, "availableReplicas": 0}


class JobStrategy(Strategy):
    """Jobs: the server makes a selector that no other Job can have."""

    counts_generation = True
    orphans_by_default = True
    orphaning_warning = (
        "child pods are preserved by default when jobs are deleted; set "
        "propagationPolicy=Background to remove them or set propagationPolicy=Orphan to "
        "suppress this warning"
    )

    def prepare_create(self, obj: Object) -> None:
        """Label the template with the Job's name and UID, and select by the UID."""
        super().prepare_create(obj)
        spec = obj["spec"]
        if spec.get("manualSelector"):
            return
        meta = spec["template"].setdefault("metadata", {})
        made = {
            label: obj["metadata"][field]
            for field, labels in JOB_LABELS.items()
            for label in labels
        }
        meta["labels"] = made | meta.get("labels", {})
        selector = spec.setdefault("selector", {})
        label = JOB_LABELS["uid"][1]
        chosen = selector.get("matchLabels", {})
        selector["matchLabels"] = {label: obj["metadata"]["uid"]} | chosen


class CronJobStrategy(Strategy):
    """CronJobs."""

    counts_generation = True


STRATEGIES: dict[str, type[Strategy]] = {
    "deployments.apps": DeploymentStrategy,
    "daemonsets.apps": DaemonSetStrategy,
    "replicasets.apps": ReplicaSetStrategy,
    "replicationcontrollers": ReplicationControllerStrategy,
    "statefulsets.apps": StatefulSetStrategy,
    "cronjobs.batch": CronJobStrategy,
    "jobs.batch": JobStrategy,
}
