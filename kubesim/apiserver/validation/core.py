"""Validation of the small kinds: ConfigMap, Secret, Node, Event, Lease."""

import base64
from collections.abc import Iterator
from typing import Any

from kubesim.apiserver.patch.fields import (
    Cause,
    forbidden,
    immutable,
    invalid,
    not_supported,
    required,
    too_long,
)
from kubesim.apiserver.serialization import gojson
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.metadata import STANDARD_FINALIZERS, each
from kubesim.apiserver.validation.pods import EFFECTS

Object = dict[str, Any]
DATA_LIMIT = 1024 * 1024
NEEDED_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
}
ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name"


def config_map(obj: Object) -> Iterator[Cause]:
    """Check a ConfigMap's keys and size."""
    data, binary = obj.get("data", {}), obj.get("binaryData", {})
    for key in data:
        yield from each(f"data[{key}]", key, names.config_key(key))
        if key in binary:
            yield invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    for key in binary:
        yield from each(f"binaryData[{key}]", key, names.config_key(key))
    size = sum(len(value.encode()) for value in data.values())
    if size + sum(_decoded_size(value) for value in binary.values()) > DATA_LIMIT:
        yield too_long("", DATA_LIMIT)


def secret(obj: Object) -> Iterator[Cause]:
    """Check a Secret's keys, its size, and what its type needs."""
    data = obj.get("data", {})
    for key in data:
        yield from each(f"data[{key}]", key, names.config_key(key))
    if sum(_decoded_size(value) for value in data.values()) > DATA_LIMIT:
        yield too_long("data", DATA_LIMIT)
    yield from _needed_keys(obj["type"], data)
    annotations = obj["metadata"].get("annotations", {})
    if obj["type"] == "kubernetes.io/service-account-token" and not annotations.get(
        ACCOUNT_ANNOTATION
    ):
        yield required(f"metadata.annotations[{ACCOUNT_ANNOTATION}]")


def _needed_keys(kind: str, data: Object) -> Iterator[Cause]:
    """Check what a type of Secret must have; the odd paths are the real server's."""
    for key in NEEDED_KEYS.get(kind, ()):
        if key not in data:
            yield required(f"data[{key}]")
        elif key.startswith("."):
            yield from _json_key(data[key], f"data[{key}]")
    if kind == "kubernetes.io/ssh-auth" and "ssh-privatekey" not in data:
        yield required("data[%s][ssh-privatekey]")
    login = ("username", "password")
    if kind == "kubernetes.io/basic-auth" and not any(key in data for key in login):
        yield from (required(f"data[%s][{key}]") for key in login)


def _json_key(value: str, path: str) -> Iterator[Cause]:
    try:
        gojson.loads(base64.b64decode(value))
    except gojson.JSONError as error:
        yield invalid(path, "<secret contents redacted>", str(error))


def _decoded_size(value: str) -> int:
    return len(base64.b64decode(value))


def namespace(obj: Object) -> Iterator[Cause]:
    """Check who may still want to tidy up in a namespace."""
    for finalizer in obj.get("spec", {}).get("finalizers", ()):
        yield from each("spec.finalizers", finalizer, names.qualified_name(finalizer))
        if "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid("spec.finalizers", finalizer, why)


def config_map_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check that an immutable ConfigMap stays as it is."""
    yield from _kept_immutable(new, old, ("data", "binaryData"))


def secret_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check that a Secret keeps its type and, if immutable, its data."""
    yield from immutable("type", new["type"], old["type"])
    yield from _kept_immutable(new, old, ("data",))


def _kept_immutable(new: Object, old: Object, fields: tuple[str, ...]) -> Iterator[Cause]:
    if not old.get("immutable"):
        return
    why = "field is immutable when `immutable` is set"
    if not new.get("immutable"):
        yield forbidden("immutable", why)
    for field in fields:
        if new.get(field) != old.get(field):
            yield forbidden(field, why)


def node(obj: Object) -> Iterator[Cause]:
    """Check a Node's taints."""
    seen = set()
    for index, taint in enumerate(obj.get("spec", {}).get("taints", ())):
        path = f"metadata.taints[{index}]"
        key, effect = taint.get("key", ""), taint.get("effect", "")
        yield from each(f"{path}.key", key, names.qualified_name(key))
        if taint.get("value"):
            yield from each(f"{path}.value", taint["value"], names.label_value(taint["value"]))
        if not effect:
            yield required(f"{path}.effect")
        elif effect not in EFFECTS:
            yield not_supported(f"{path}.effect", effect, EFFECTS)
        if (key, effect) in seen:
            yield invalid(path, taint, "taints must be unique by key and effect pair")
        seen.add((key, effect))


def node_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check that a Node keeps the addresses that its Pods have got."""
    before, after = old["spec"].get("podCIDR"), new["spec"].get("podCIDR")
    if before and after != before:
        why = 'node updates may not change podCIDR except from "" to valid'
        yield forbidden("spec.podCIDRs", why)


def event(obj: Object) -> Iterator[Cause]:
    """Check that an Event stands where its object is; of cluster objects, in default."""
    namespace = obj["metadata"].get("namespace", "")
    about = obj.get("involvedObject", {}).get("namespace", "")
    if about != namespace and (about or namespace not in ("default", "kube-system")):
        yield invalid("involvedObject.namespace", about, "does not match event.namespace")


def lease(obj: Object) -> Iterator[Cause]:
    """Check a Lease's numbers."""
    spec = obj.get("spec", {})
    if spec.get("leaseDurationSeconds", 1) <= 0:
        duration = spec["leaseDurationSeconds"]
        yield invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")
    if spec.get("leaseTransitions", 0) < 0:
        why = "must be greater than or equal to 0"
        yield invalid("spec.leaseTransitions", spec["leaseTransitions"], why)
