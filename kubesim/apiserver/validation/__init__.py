"""Validation: the rules of each kind that types alone cannot say.

The tables name what is checked for which resource; a violation becomes a cause of a 422.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kubesim.api.resources import Resource
from kubesim.apiserver import errors
from kubesim.apiserver.apiextensions import definition
from kubesim.apiserver.patch.fields import Cause
from kubesim.apiserver.validation import (
    admissionpolicies,
    apiregistration,
    apps,
    autoscaling,
    batch,
    certificates,
    core,
    discovery,
    events,
    names,
    networking,
    pods,
    policy,
    rbac,
    services,
    storage,
)
from kubesim.apiserver.validation.metadata import NameCheck, metadata, metadata_update

Object = dict[str, Any]
_RBAC = "rbac.authorization.k8s.io"
_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"

NAMES: dict[str, NameCheck] = {
    "namespaces": names.dns_label,
    "services": names.dns_1035_label,
    "certificatesigningrequests.certificates.k8s.io": names.path_segment,
    "apiservices.apiregistration.k8s.io": names.path_segment,
    f"roles.{_RBAC}": names.path_segment,
    f"rolebindings.{_RBAC}": names.path_segment,
    f"clusterroles.{_RBAC}": names.path_segment,
    f"clusterrolebindings.{_RBAC}": names.path_segment,
}
RULES: dict[str, Callable[[Object], Iterator[Cause]]] = {
    "pods": pods.pod,
    "cronjobs.batch": batch.cron_job,
    "jobs.batch": batch.job,
    "controllerrevisions.apps": apps.controller_revision,
    "daemonsets.apps": apps.daemon_set,
    "deployments.apps": apps.deployment,
    "replicasets.apps": apps.replica_set,
    "replicationcontrollers": apps.replication_controller,
    "podtemplates": apps.pod_template,
    "statefulsets.apps": apps.stateful_set,
    "services": services.service,
    "endpoints": services.endpoints,
    "endpointslices.discovery.k8s.io": discovery.endpoint_slice,
    "ingresses.networking.k8s.io": networking.ingress,
    "ingressclasses.networking.k8s.io": networking.ingress_class,
    "networkpolicies.networking.k8s.io": networking.network_policy,
    "persistentvolumeclaims": storage.claim,
    "persistentvolumes": storage.volume,
    "storageclasses.storage.k8s.io": storage.storage_class,
    "configmaps": core.config_map,
    "secrets": core.secret,
    "namespaces": core.namespace,
    "nodes": core.node,
    "events": core.event,
    "events.events.k8s.io": events.event,
    "leases.coordination.k8s.io": core.lease,
    "certificatesigningrequests.certificates.k8s.io": certificates.request,
    "horizontalpodautoscalers.autoscaling": autoscaling.horizontal_pod_autoscaler,
    "limitranges": policy.limit_range,
    "poddisruptionbudgets.policy": policy.disruption_budget,
    "priorityclasses.scheduling.k8s.io": policy.priority_class,
    "resourcequotas": policy.resource_quota,
    "apiservices.apiregistration.k8s.io": apiregistration.api_service,
    "validatingadmissionpolicies.admissionregistration.k8s.io": admissionpolicies.policy,
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": admissionpolicies.binding,
    _DEFINITIONS: definition.check,
    f"roles.{_RBAC}": rbac.role,
    f"clusterroles.{_RBAC}": rbac.cluster_role,
    f"rolebindings.{_RBAC}": rbac.role_binding,
    f"clusterrolebindings.{_RBAC}": rbac.cluster_role_binding,
}
CREATE_RULES: dict[str, Callable[[Object], Iterator[Cause]]] = {"pods": pods.pod_create}
UPDATE_RULES: dict[str, Callable[[Object, Object], Iterator[Cause]]] = {
    "pods": pods.pod_update,
    "jobs.batch": batch.job_update,
    "controllerrevisions.apps": apps.controller_revision_update,
    "daemonsets.apps": apps.selector_update,
    "deployments.apps": apps.selector_update,
    "replicasets.apps": apps.selector_update,
    "statefulsets.apps": apps.stateful_set_update,
    "services": services.service_update,
    "endpointslices.discovery.k8s.io": discovery.endpoint_slice_update,
    "ingressclasses.networking.k8s.io": networking.ingress_class_update,
    "persistentvolumeclaims": storage.claim_update,
    "persistentvolumes": storage.volume_update,
    "storageclasses.storage.k8s.io": storage.storage_class_update,
    "configmaps": core.config_map_update,
    "secrets": core.secret_update,
    "nodes": core.node_update,
    "priorityclasses.scheduling.k8s.io": policy.priority_class_update,
    "resourcequotas": policy.resource_quota_update,
    _DEFINITIONS: definition.check_update,
    f"rolebindings.{_RBAC}": rbac.binding_update,
    f"clusterrolebindings.{_RBAC}": rbac.binding_update,
}


def validate(resource: Resource, obj: Object, also: Iterable[Cause] = ()) -> None:
    """Check a new object, of which something may be known to be wrong. Raises 422."""
    create_rules = CREATE_RULES.get(resource.full_name)
    also = [*(create_rules(obj) if create_rules else ()), *also]
    _refuse(resource, obj, [*_causes(resource, obj), *also])


def validate_update(
    resource: Resource, new: Object, old: Object, also: Iterable[Cause] = ()
) -> None:
    """Check a changed object and the change. Raises 422."""
    causes = list(metadata_update(new["metadata"], old["metadata"]))
    update_rules = UPDATE_RULES.get(resource.full_name)
    causes += _causes(resource, new)
    if update_rules:
        causes += update_rules(new, old)
    _refuse(resource, new, [*causes, *also])


def _causes(resource: Resource, obj: Object) -> Iterator[Cause]:
    yield from metadata(obj["metadata"], NAMES.get(resource.full_name, names.dns_subdomain))
    rules = RULES.get(resource.full_name)
    if rules:
        yield from rules(obj)


def _refuse(resource: Resource, obj: Object, causes: list[Cause]) -> None:
    if causes:
        raise errors.invalid(resource.full_kind, obj["metadata"].get("name", ""), causes)
