"""Objects in Kubernetes' protobuf form, which `kubectl create` sends for some kinds.

The envelope is in https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding.
What a field's type is comes from the published OpenAPI schema. The numbers of the fields are not in
it: they are listed here, for the messages that kubectl sends, as in the generated.proto files of
k8s.io/api and k8s.io/apimachinery. Answers are always JSON, which every client accepts.
"""

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from kubesim.api import schema
from kubesim.api.schema import Type
from kubesim.apiserver import errors
from kubesim.apiserver.errors import StatusError

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\0"
VARINT, BYTES = 0, 2

# A word is a field, its place its number; "-" stands for a number that is not in use.
_FIELDS = {
    "ObjectMeta": "name generateName namespace selfLink uid resourceVersion generation "
    "creationTimestamp deletionTimestamp deletionGracePeriodSeconds labels annotations "
    "ownerReferences finalizers - - managedFields",
    "LabelSelector": "matchLabels matchExpressions",
    "LabelSelectorRequirement": "key operator values",
    "Namespace": "metadata spec status",
    "NamespaceSpec": "finalizers",
    "NamespaceStatus": "phase conditions",
    "ConfigMap": "metadata data binaryData immutable",
    "Secret": "metadata data type stringData immutable",
    "ServiceAccount": "metadata secrets imagePullSecrets automountServiceAccountToken",
    "ObjectReference": "kind namespace name uid apiVersion resourceVersion fieldPath",
    "LocalObjectReference": "name",
    "Service": "metadata spec status",
    "ServiceSpec": "ports selector clusterIP type externalIPs - sessionAffinity loadBalancerIP "
    "loadBalancerSourceRanges externalName externalTrafficPolicy healthCheckNodePort "
    "publishNotReadyAddresses sessionAffinityConfig - - ipFamilyPolicy clusterIPs ipFamilies "
    "allocateLoadBalancerNodePorts loadBalancerClass internalTrafficPolicy trafficDistribution",
    "ServicePort": "name protocol port targetPort nodePort appProtocol",
    "ServiceStatus": "loadBalancer conditions",
    "Deployment": "metadata spec status",
    "DeploymentSpec": "replicas selector template strategy minReadySeconds revisionHistoryLimit "
    "paused - progressDeadlineSeconds",
    "DeploymentStrategy": "type rollingUpdate",
    "RollingUpdateDeployment": "maxUnavailable maxSurge",
    "DeploymentStatus": "observedGeneration replicas updatedReplicas availableReplicas "
    "unavailableReplicas conditions readyReplicas collisionCount terminatingReplicas",
    "PodTemplateSpec": "metadata spec",
    "PodSpec": "volumes containers restartPolicy terminationGracePeriodSeconds "
    "activeDeadlineSeconds dnsPolicy nodeSelector serviceAccountName serviceAccount nodeName "
    "hostNetwork hostPID hostIPC securityContext imagePullSecrets hostname subdomain affinity "
    "schedulerName initContainers automountServiceAccountToken tolerations hostAliases "
    "priorityClassName priority dnsConfig shareProcessNamespace readinessGates runtimeClassName "
    "enableServiceLinks preemptionPolicy overhead topologySpreadConstraints ephemeralContainers "
    "setHostnameAsFQDN os hostUsers schedulingGates resourceClaims resources",
    "Container": "name image command args workingDir ports env resources volumeMounts "
    "livenessProbe readinessProbe lifecycle terminationMessagePath imagePullPolicy "
    "securityContext stdin stdinOnce tty envFrom terminationMessagePolicy volumeDevices "
    "startupProbe resizePolicy restartPolicy",
    "ContainerPort": "name hostPort containerPort protocol hostIP",
    "EnvVar": "name value valueFrom",
    "ResourceRequirements": "limits requests claims",
    "Role": "metadata rules",
    "ClusterRole": "metadata rules aggregationRule",
    "AggregationRule": "clusterRoleSelectors",
    "PolicyRule": "verbs apiGroups resources resourceNames nonResourceURLs",
    "RoleBinding": "metadata subjects roleRef",
    "ClusterRoleBinding": "metadata subjects roleRef",
    "Subject": "kind apiGroup name namespace",
    "RoleRef": "apiGroup kind name",
    "TokenRequest": "metadata spec status",
    "TokenRequestSpec": "audiences - boundObjectRef expirationSeconds",
    "TokenRequestStatus": "token expirationTimestamp",
    "BoundObjectReference": "kind apiVersion name uid",
    "SelfSubjectReview": "metadata status",
    "SelfSubjectAccessReview": "metadata spec status",
    "SelfSubjectAccessReviewSpec": "resourceAttributes nonResourceAttributes",
    "ResourceAttributes": "namespace verb group version resource subresource name fieldSelector "
    "labelSelector",
    "NonResourceAttributes": "path verb",
    "SubjectAccessReviewStatus": "allowed reason evaluationError denied",
    "SelfSubjectRulesReview": "metadata spec status",
    "SelfSubjectRulesReviewSpec": "namespace",
    "SubjectRulesReviewStatus": "resourceRules nonResourceRules incomplete evaluationError",
}
# Go pointers: for these a zero is a value. Elsewhere it is what an absent field is encoded as.
_POINTERS = {
    "activeDeadlineSeconds",
    "allocateLoadBalancerNodePorts",
    "automountServiceAccountToken",
    "deletionGracePeriodSeconds",
    "enableServiceLinks",
    "expirationSeconds",
    "hostUsers",
    "immutable",
    "priority",
    "progressDeadlineSeconds",
    "replicas",
    "revisionHistoryLimit",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "terminationGracePeriodSeconds",
}


def decode(body: bytes) -> dict[str, Any]:
    """The object in a protobuf body, in its JSON form.

    Raises StatusError 400 for a damaged body and 415 for a kind or field that is not known here.
    """
    if not body.startswith(MAGIC):
        raise errors.bad_request("the body is not in Kubernetes' protobuf encoding")
    try:
        envelope = dict(_fields(body[len(MAGIC) :]))
        head = dict(_fields(envelope[1]))
        api_version, kind = head[1].decode(), head[2].decode()
        group, _, version = api_version.rpartition("/")
        found = _type(group, version, kind)
        return {"apiVersion": api_version, "kind": kind, **_message(envelope.get(2, b""), found)}
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise errors.bad_request(f"the protobuf body is damaged: {error}") from None


def _type(group: str, version: str, kind: str) -> Type:
    if (group, version, kind) not in schema.definition_names() or kind not in _FIELDS:
        raise _unknown(f"{kind} objects")
    return schema.type_of(group, version, kind)


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The (number, value) pairs of a message, in order."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        if tag & 7 == VARINT:
            value, position = _varint(message, position)
        elif tag & 7 == BYTES:
            length, position = _varint(message, position)
            if position + length > len(message):
                raise ValueError("it ends too early")
            value, position = message[position : position + length], position + length
        else:
            raise ValueError(f"wire type {tag & 7} is not in use")
        yield tag >> 3, value


def _varint(message: bytes, position: int) -> tuple[Any, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _message(message: bytes, of: Type) -> dict[str, Any]:
    if not message:
        return {}
    if of.name not in _FIELDS:
        raise _unknown(f"fields of {of.name}")
    names = _FIELDS[of.name].split()
    obj: dict[str, Any] = {}
    for number, raw in _fields(message):
        name = names[number - 1] if number <= len(names) else "-"
        if name not in of.fields:
            raise _unknown(f"field {number} of {of.name}")
        _add(obj, name, raw, of)
    return obj


def _add(obj: dict[str, Any], name: str, raw: Any, of: Type) -> None:
    """Add one occurrence of a field; repeated fields and maps occur once an entry."""
    field = of.fields[name]
    if field.kind == "array" and field.item:
        obj.setdefault(name, []).append(_value(raw, field.item))
    elif field.kind == "map" and field.item:
        entry = dict(_fields(raw))
        value = entry.get(2, b"")
        obj.setdefault(name, {})[entry.get(1, b"").decode()] = _value(value, field.item)
    else:
        value = _value(raw, field)
        if value not in (None, "", 0, False, {}) or name in _POINTERS or name in of.required:
            obj[name] = value


def _value(raw: Any, of: Type) -> Any:
    if of.kind == "object":
        return _message(raw, of)
    if of.kind not in _SCALARS:
        raise _unknown(f"values of type {of.kind}")
    return _SCALARS[of.kind](raw)


def _int_or_string(raw: bytes) -> int | str:
    is_string, number, text = (dict(_fields(raw)).get(key) for key in (1, 2, 3))
    return (text or b"").decode() if is_string else number or 0


def _time(raw: bytes) -> str | None:
    seconds = dict(_fields(raw)).get(1)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}" if seconds else None


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "string": lambda raw: raw.decode(),
    "integer": lambda raw: raw - (1 << 64) if raw >> 63 else raw,
    "boolean": bool,
    "bytes": lambda raw: base64.b64encode(raw).decode(),
    "quantity": lambda raw: dict(_fields(raw)).get(1, b"0").decode(),
    "int-or-string": _int_or_string,
    "time": _time,
}


def _unknown(what: str) -> StatusError:
    return StatusError(
        415,
        f"kubesim does not read {what} in protobuf; send JSON or YAML instead: "
        "kubectl create … --dry-run=client -o yaml | kubectl create -f -",
    )
