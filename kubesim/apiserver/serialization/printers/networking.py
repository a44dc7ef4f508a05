"""Columns of the group networking.k8s.io."""

from collections.abc import Sequence
from datetime import datetime

from kubesim.apimachinery.labels import selector_text
from kubesim.apiserver.serialization.printers.column import (
    AGE,
    NAME,
    NONE,
    Column,
    Object,
    field,
)

MAX_HOSTS = 3


def _pod_selector(policy: Object, _now: datetime) -> str:
    selector = policy["spec"].get("podSelector") or {}
    return selector_text(selector) or NONE


def _hosts(ingress: Object, _now: datetime) -> str:
    hosts = [rule["host"] for rule in ingress["spec"].get("rules") or () if rule.get("host")]
    more = f" + {len(hosts) - MAX_HOSTS} more..." if len(hosts) > MAX_HOSTS else ""
    return (",".join(hosts[:MAX_HOSTS]) or "*") + more


def _address(ingress: Object, _now: datetime) -> str:
    balancer = (ingress.get("status") or {}).get("loadBalancer") or {}
    points = balancer.get("ingress") or ()
    return ",".join(point.get("ip") or point.get("hostname", "") for point in points)


def _ports(ingress: Object, _now: datetime) -> str:
    return "80, 443" if ingress["spec"].get("tls") else "80"


def _parameters(ingress_class: Object, _now: datetime) -> str:
    parameters = ingress_class["spec"].get("parameters")
    if not parameters:
        return NONE
    group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
    return f"{parameters['kind']}{group}/{parameters['name']}"


COLUMNS: dict[str, Sequence[Column]] = {
    "networkpolicies.networking.k8s.io": (NAME, Column("Pod-Selector", _pod_selector), AGE),
    "ingresses.networking.k8s.io": (
        NAME,
        Column("Class", field("spec", "ingressClassName", default=NONE)),
        Column("Hosts", _hosts),
        Column("Address", _address),
        Column("Ports", _ports),
        AGE,
    ),
    "ingressclasses.networking.k8s.io": (
        NAME,
        Column("Controller", field("spec", "controller")),
        Column("Parameters", _parameters),
        AGE,
    ),
}
