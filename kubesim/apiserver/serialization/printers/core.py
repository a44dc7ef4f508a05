"""Columns of the resources of the core group."""

from collections.abc import Sequence
from datetime import datetime

from kubesim.apimachinery.labels import pairs
from kubesim.apiserver.serialization.printers import pods as pod_printer
from kubesim.apiserver.serialization.printers.column import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    Column,
    Object,
    Printer,
    count,
    field,
    name,
    since,
)

ROLE_LABEL = "node-role.kubernetes.io/"
MAX_ENDPOINTS = 3


def _node_status(node: Object, _now: datetime) -> str:
    conditions = node.get("status", {}).get("conditions") or ()
    ready = next((c for c in conditions if c["type"] == "Ready"), None)
    words = ["Unknown"]
    if ready:
        words = ["Ready" if ready["status"] == "True" else "NotReady"]
    if node.get("spec", {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _node_roles(node: Object, _now: datetime) -> str:
    labels = node["metadata"].get("labels") or {}
    roles = {key.removeprefix(ROLE_LABEL) for key in labels if key.startswith(ROLE_LABEL)}
    if labels.get("kubernetes.io/role"):
        roles.add(labels["kubernetes.io/role"])
    return ",".join(sorted(roles - {""})) or NONE


def _node_address(kind: str) -> Printer:
    def cell(node: Object, _now: datetime) -> str:
        addresses = node.get("status", {}).get("addresses") or ()
        return next((a["address"] for a in addresses if a["type"] == kind), NONE)

    return cell


def _node_info(key: str, default: str = UNKNOWN) -> Printer:
    return field("status", "nodeInfo", key, default=default)


def _service_external_ip(service: Object, _now: datetime) -> str:
    spec = service.get("spec", {})
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    addresses = list(spec.get("externalIPs") or ())
    if spec.get("type") == "LoadBalancer":
        ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
        addresses = [i.get("ip") or i.get("hostname", "") for i in ingress] + addresses
        return ",".join(addresses) or "<pending>"
    return ",".join(addresses) or NONE


def _service_ports(service: Object, _now: datetime) -> str:
    ports = service.get("spec", {}).get("ports") or ()
    shown = []
    for port in ports:
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port['port']}{node_port}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


def _endpoints(obj: Object, _now: datetime) -> str:
    """Addresses that are ready; nothing at all when there are only others."""
    if not obj.get("subsets"):
        return NONE
    shown = []
    for subset in obj.get("subsets") or ():
        addresses = [address["ip"] for address in subset.get("addresses") or ()]
        ports = subset.get("ports")
        if not ports:
            shown += addresses
        shown += [f"{ip}:{port['port']}" for port in ports or () for ip in addresses]
    more = f" + {len(shown) - MAX_ENDPOINTS} more..." if len(shown) > MAX_ENDPOINTS else ""
    return ",".join(shown[:MAX_ENDPOINTS]) + more


def _service_selector(obj: Object, _now: datetime) -> str:
    return ",".join(pairs(obj.get("spec", {}).get("selector"))) or NONE


def _event_first_seen(event: Object, now: datetime) -> str:
    return since(event.get("firstTimestamp") or event.get("eventTime"), now)


def _event_last_seen(event: Object, now: datetime) -> str:
    series = event.get("series") or {}
    last = series.get("lastObservedTime") or event.get("lastTimestamp")
    return since(last, now) if last else _event_first_seen(event, now)


def _event_count(event: Object, _now: datetime) -> int:
    series = event.get("series") or {}
    return int(series.get("count") or event.get("count") or 1)


def _event_object(event: Object, _now: datetime) -> str:
    involved = event.get("involvedObject") or {}
    return f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"


def _event_source(event: Object, _now: datetime) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent", "")
    host = source.get("host") or event.get("reportingInstance", "")
    return ", ".join(filter(None, (component, host)))


def _event_message(event: Object, _now: datetime) -> str:
    return str(event.get("message", "")).strip()


COLUMNS: dict[str, Sequence[Column]] = {
    "pods": (
        NAME,
        Column("Ready", lambda pod, _now: pod_printer.ready(pod)),
        Column("Status", lambda pod, _now: pod_printer.status(pod)),
        Column("Restarts", pod_printer.restarts),
        AGE,
        Column("IP", field("status", "podIP", default=NONE), wide=True),
        Column("Node", field("spec", "nodeName", default=NONE), wide=True),
        Column("Nominated Node", field("status", "nominatedNodeName", default=NONE), wide=True),
        Column("Readiness Gates", lambda pod, _now: pod_printer.readiness_gates(pod), wide=True),
    ),
    "nodes": (
        NAME,
        Column("Status", _node_status),
        Column("Roles", _node_roles),
        AGE,
        Column("Version", _node_info("kubeletVersion", "")),
        Column("Internal-IP", _node_address("InternalIP"), wide=True),
        Column("External-IP", _node_address("ExternalIP"), wide=True),
        Column("OS-Image", _node_info("osImage"), wide=True),
        Column("Kernel-Version", _node_info("kernelVersion"), wide=True),
        Column("Container-Runtime", _node_info("containerRuntimeVersion"), wide=True),
    ),
    "namespaces": (NAME, Column("Status", field("status", "phase")), AGE),
    "services": (
        NAME,
        Column("Type", field("spec", "type")),
        Column("Cluster-IP", field("spec", "clusterIP", default=NONE)),
        Column("External-IP", _service_external_ip),
        Column("Port(s)", _service_ports),
        AGE,
        Column("Selector", _service_selector, wide=True),
    ),
    "endpoints": (NAME, Column("Endpoints", _endpoints), AGE),
    "configmaps": (NAME, Column("Data", count("data", "binaryData"), type="string"), AGE),
    "secrets": (
        NAME,
        Column("Type", field("type")),
        Column("Data", count("data"), type="string"),
        AGE,
    ),
    "serviceaccounts": (NAME, Column("Secrets", count("secrets"), type="string"), AGE),
    "events": (
        Column("Last Seen", _event_last_seen),
        Column("Type", field("type")),
        Column("Reason", field("reason")),
        Column("Object", _event_object),
        Column("Subobject", field("involvedObject", "fieldPath"), wide=True),
        Column("Source", _event_source, wide=True),
        Column("Message", _event_message),
        Column("First Seen", _event_first_seen, wide=True),
        Column("Count", _event_count, wide=True),
        Column("Name", name, format="name", wide=True),
    ),
}
