"""Columns of the resources of the group apps."""

from collections.abc import Sequence
from datetime import datetime

from kubesim.apimachinery.labels import pairs
from kubesim.apimachinery.objects import controller_of
from kubesim.apiserver.serialization.printers.column import (
    AGE,
    NAME,
    NONE,
    TEMPLATE,
    Column,
    Object,
    containers,
    field,
)


def _ready(workload: Object, _now: datetime) -> str:
    ready = workload.get("status", {}).get("readyReplicas", 0)
    return f"{ready}/{workload['spec'].get('replicas', 0)}"


def _node_selector(daemon_set: Object, _now: datetime) -> str:
    template = daemon_set["spec"].get("template") or {}
    return ",".join(pairs(template.get("spec", {}).get("nodeSelector"))) or NONE


def _controller(revision: Object, _now: datetime) -> str:
    """The owner of a ControllerRevision, as `daemonset.apps/web`."""
    owner = controller_of(revision)
    if owner is None:
        return NONE
    group, _, _ = owner["apiVersion"].rpartition("/")
    kind = owner["kind"].lower()
    return f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"


def _plain_selector(controller: Object, _now: datetime) -> str:
    return ",".join(pairs(controller["spec"].get("selector"))) or NONE


def _pod_labels(template: Object, _now: datetime) -> str:
    meta = (template.get("template") or {}).get("metadata") or {}
    return ",".join(pairs(meta.get("labels"))) or NONE


_REPLICAS = (
    NAME,
    Column("Desired", field("spec", "replicas", default=0), type="integer"),
    Column("Current", field("status", "replicas", default=0), type="integer"),
    Column("Ready", field("status", "readyReplicas", default=0), type="integer"),
    AGE,
)

COLUMNS: dict[str, Sequence[Column]] = {
    "controllerrevisions.apps": (
        NAME,
        Column("Controller", _controller),
        Column("Revision", field("revision", default=0)),
        AGE,
    ),
    "daemonsets.apps": (
        NAME,
        Column("Desired", field("status", "desiredNumberScheduled", default=0), type="integer"),
        Column("Current", field("status", "currentNumberScheduled", default=0), type="integer"),
        Column("Ready", field("status", "numberReady", default=0), type="integer"),
        Column("Up-to-date", field("status", "updatedNumberScheduled", default=0), type="integer"),
        Column("Available", field("status", "numberAvailable", default=0), type="integer"),
        Column("Node Selector", _node_selector),
        AGE,
        *TEMPLATE,
    ),
    "deployments.apps": (
        NAME,
        Column("Ready", _ready),
        Column("Up-to-date", field("status", "updatedReplicas", default=0)),
        Column("Available", field("status", "availableReplicas", default=0)),
        AGE,
        *TEMPLATE,
    ),
    "replicasets.apps": (*_REPLICAS, *TEMPLATE),
    "replicationcontrollers": (
        *_REPLICAS,
        *TEMPLATE[:2],
        Column("Selector", _plain_selector, wide=True),
    ),
    "podtemplates": (
        NAME,
        Column("Containers", containers("name")),
        Column("Images", containers("image")),
        Column("Pod Labels", _pod_labels),
    ),
    "statefulsets.apps": (NAME, Column("Ready", _ready), AGE, *TEMPLATE[:2]),
}
