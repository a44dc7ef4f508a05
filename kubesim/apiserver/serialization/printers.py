"""The columns of `kubectl get`, by resource: what pkg/printers/internalversion/printers.go prints.

Tables are made by the server, so every client shows the same. A cell is a function of the object
and of the time; `wide` columns are those that only `-o wide` shows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubesim.apiserver.serialization import pod_printer
from kubesim.apiserver.serialization.pod_printer import human_duration, parse_time

Object = dict[str, Any]
Cell = str | int | bool
Printer = Callable[[Object, datetime], Cell]

NONE = "<none>"
UNKNOWN = "<unknown>"
ROLE_LABEL = "node-role.kubernetes.io/"
MAX_ENDPOINTS = 3


@dataclass(frozen=True)
class Column:
    """One column: its heading, how a cell is made, its OpenAPI type and format."""

    name: str
    cell: Printer
    type: str = "string"
    format: str = ""
    wide: bool = False

    def definition(self) -> Object:
        """The column in the wire form of meta.k8s.io/v1 TableColumnDefinition."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": "",
            "priority": int(self.wide),
        }


def columns_of(resource: str) -> Sequence[Column]:
    """The columns of a resource (`pods`, `deployments.apps`); name and creation if unknown."""
    return _COLUMNS.get(resource, _DEFAULT)


def _name(obj: Object, _now: datetime) -> str:
    return str(obj["metadata"]["name"])


def _age(obj: Object, now: datetime) -> str:
    return _since(obj["metadata"].get("creationTimestamp"), now)


def _created_at(obj: Object, _now: datetime) -> str:
    created = parse_time(obj["metadata"].get("creationTimestamp"))
    return created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if created else ""


def _since(timestamp: str | None, now: datetime) -> str:
    moment = parse_time(timestamp)
    return human_duration(now - moment) if moment else UNKNOWN


def _field(*path: str, default: Cell = "") -> Printer:
    """A printer of one field, or of the default when it is missing or empty."""

    def cell(obj: Object, _now: datetime) -> Cell:
        value: Any = obj
        for key in path:
            value = (value or {}).get(key)
        return default if value in (None, "") else value

    return cell


def _count(*fields: str) -> Printer:
    """A printer of how many entries some top-level fields have together."""
    return lambda obj, _now: sum(len(obj.get(field) or ()) for field in fields)


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


def _node_info(field: str, default: str = UNKNOWN) -> Printer:
    return _field("status", "nodeInfo", field, default=default)


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
    shown = []
    for subset in obj.get("subsets") or ():
        addresses = [address["ip"] for address in subset.get("addresses") or ()]
        ports = subset.get("ports")
        if not ports:
            shown += addresses
        shown += [f"{ip}:{port['port']}" for port in ports or () for ip in addresses]
    more = f" + {len(shown) - MAX_ENDPOINTS} more..." if len(shown) > MAX_ENDPOINTS else ""
    return ",".join(shown[:MAX_ENDPOINTS]) + more or NONE


def _deployment_ready(deployment: Object, _now: datetime) -> str:
    ready = deployment.get("status", {}).get("readyReplicas", 0)
    return f"{ready}/{deployment['spec'].get('replicas', 0)}"


def _containers(field: str) -> Printer:
    """A printer of one field of all containers of a Pod template."""

    def cell(obj: Object, _now: datetime) -> str:
        template = obj.get("spec", {}).get("template") or {}
        containers = template.get("spec", {}).get("containers") or ()
        return ",".join(container.get(field, "") for container in containers)

    return cell


def _label_selector(obj: Object, _now: datetime) -> str:
    selector = obj.get("spec", {}).get("selector") or {}
    return ",".join([*_pairs(selector.get("matchLabels")), *_expressions(selector)]) or NONE


def _service_selector(obj: Object, _now: datetime) -> str:
    return ",".join(_pairs(obj.get("spec", {}).get("selector"))) or NONE


def _pairs(labels: Mapping[str, str] | None) -> list[str]:
    return [f"{key}={value}" for key, value in sorted((labels or {}).items())]


def _expressions(selector: Object) -> Iterable[str]:
    for expression in selector.get("matchExpressions") or ():
        key, operator = expression["key"], expression["operator"]
        values = ",".join(sorted(expression.get("values") or ()))
        yield {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }.get(operator, key)


def _event_first_seen(event: Object, now: datetime) -> str:
    return _since(event.get("firstTimestamp") or event.get("eventTime"), now)


def _event_last_seen(event: Object, now: datetime) -> str:
    series = event.get("series") or {}
    last = series.get("lastObservedTime") or event.get("lastTimestamp")
    return _since(last, now) if last else _event_first_seen(event, now)


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


def _role_reference(binding: Object, _now: datetime) -> str:
    return f"{binding['roleRef']['kind']}/{binding['roleRef']['name']}"


def _subjects(kind: str) -> Printer:
    def cell(binding: Object, _now: datetime) -> str:
        subjects = [s for s in binding.get("subjects") or () if s["kind"] == kind]
        if kind == "ServiceAccount":
            return ", ".join(f"{s.get('namespace', '')}/{s['name']}" for s in subjects)
        return ", ".join(s["name"] for s in subjects)

    return cell


_NAME = Column("Name", _name, format="name")
_AGE = Column("Age", _age)
_CREATED = Column("Created At", _created_at, type="date")
_DEFAULT = (_NAME, _CREATED)
_TEMPLATE = (
    Column("Containers", _containers("name"), wide=True),
    Column("Images", _containers("image"), wide=True),
    Column("Selector", _label_selector, wide=True),
)
_BINDING = (
    _NAME,
    Column("Role", _role_reference),
    _AGE,
    Column("Users", _subjects("User"), wide=True),
    Column("Groups", _subjects("Group"), wide=True),
    Column("ServiceAccounts", _subjects("ServiceAccount"), wide=True),
)

_COLUMNS: dict[str, Sequence[Column]] = {
    "pods": (
        _NAME,
        Column("Ready", lambda pod, _now: pod_printer.ready(pod)),
        Column("Status", lambda pod, _now: pod_printer.status(pod)),
        Column("Restarts", pod_printer.restarts),
        _AGE,
        Column("IP", _field("status", "podIP", default=NONE), wide=True),
        Column("Node", _field("spec", "nodeName", default=NONE), wide=True),
        Column("Nominated Node", _field("status", "nominatedNodeName", default=NONE), wide=True),
        Column("Readiness Gates", lambda pod, _now: pod_printer.readiness_gates(pod), wide=True),
    ),
    "nodes": (
        _NAME,
        Column("Status", _node_status),
        Column("Roles", _node_roles),
        _AGE,
        Column("Version", _node_info("kubeletVersion", "")),
        Column("Internal-IP", _node_address("InternalIP"), wide=True),
        Column("External-IP", _node_address("ExternalIP"), wide=True),
        Column("OS-Image", _node_info("osImage"), wide=True),
        Column("Kernel-Version", _node_info("kernelVersion"), wide=True),
        Column("Container-Runtime", _node_info("containerRuntimeVersion"), wide=True),
    ),
    "namespaces": (_NAME, Column("Status", _field("status", "phase")), _AGE),
    "services": (
        _NAME,
        Column("Type", _field("spec", "type")),
        Column("Cluster-IP", _field("spec", "clusterIP", default=NONE)),
        Column("External-IP", _service_external_ip),
        Column("Port(s)", _service_ports),
        _AGE,
        Column("Selector", _service_selector, wide=True),
    ),
    "endpoints": (_NAME, Column("Endpoints", _endpoints), _AGE),
    "configmaps": (_NAME, Column("Data", _count("data", "binaryData"), type="string"), _AGE),
    "secrets": (
        _NAME,
        Column("Type", _field("type")),
        Column("Data", _count("data"), type="string"),
        _AGE,
    ),
    "serviceaccounts": (_NAME, Column("Secrets", _count("secrets"), type="string"), _AGE),
    "events": (
        Column("Last Seen", _event_last_seen),
        Column("Type", _field("type")),
        Column("Reason", _field("reason")),
        Column("Object", _event_object),
        Column("Subobject", _field("involvedObject", "fieldPath"), wide=True),
        Column("Source", _event_source, wide=True),
        Column("Message", _event_message),
        Column("First Seen", _event_first_seen, wide=True),
        Column("Count", _event_count, wide=True),
        Column("Name", _name, format="name", wide=True),
    ),
    "deployments.apps": (
        _NAME,
        Column("Ready", _deployment_ready),
        Column("Up-to-date", _field("status", "updatedReplicas", default=0)),
        Column("Available", _field("status", "availableReplicas", default=0)),
        _AGE,
        *_TEMPLATE,
    ),
    "replicasets.apps": (
        _NAME,
        Column("Desired", _field("spec", "replicas", default=0), type="integer"),
        Column("Current", _field("status", "replicas", default=0), type="integer"),
        Column("Ready", _field("status", "readyReplicas", default=0), type="integer"),
        _AGE,
        *_TEMPLATE,
    ),
    "leases.coordination.k8s.io": (
        _NAME,
        Column("Holder", _field("spec", "holderIdentity")),
        _AGE,
    ),
    "rolebindings.rbac.authorization.k8s.io": _BINDING,
    "clusterrolebindings.rbac.authorization.k8s.io": _BINDING,
}
