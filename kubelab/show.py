"""Tables, trees and extracts of what is in a cluster, as text in a terminal and HTML in Jupyter.

Only fields that are the same in every run are shown: no UIDs, ages or addresses, and generated
names are masked, so that a page built again tomorrow shows the same words.
"""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml as pyyaml

from kubelab import describe

# What Kubernetes appends to generated names: a template's hash and five random characters, in an
# alphabet without vowels (apimachinery pkg/util/rand). A word like "https" is taken for one too.
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
_GENERATED = re.compile(rf"(?<=[a-z0-9])(-{_RANDOM}{{8,10}})?(-{_RANDOM}{{5}})?(?![\w-])")
_DURATION = re.compile(r"\b(?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?m?s\b")
_SIZE = re.compile(r"\b\d+ bytes\b")
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_UNSTABLE = re.compile(
    r"uid|resourceVersion|managedFields|selfLink|containerID|imageID|(host|pod|cluster)IPs?"
    r"|\w*(Timestamp|Time|At)"
)
_FIELD_ORDER = ("apiVersion", "kind", "metadata", "type", "data", "spec", "status")


class Text:
    """Something to show: `str()` is its plain text, Jupyter shows `html_text`."""

    def __init__(self, text: str, html_text: str = "") -> None:
        self.text = text
        self.html_text = html_text or f"<pre>{html.escape(text)}</pre>"

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html_text


def table(headers: Sequence[str] | Sequence[Mapping[str, Any]], rows: Iterable[Any] = ()) -> Text:
    """Show a table: `table(["pod", "node"], [("web", "n1"), …])`, or one list of like dicts."""
    if headers and isinstance(headers[0], Mapping):
        dicts = [dict(row) for row in headers if isinstance(row, Mapping)]
        headers, rows = list(dicts[0]), [row.values() for row in dicts]
    names = [str(header) for header in headers]
    cells = [[_cell(value) for value in row] for row in rows]
    return Text(_text_table(names, cells), _html_table(names, cells))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple | set):
        return ", ".join(map(str, value)) or "-"
    return str(value)


def _text_table(headers: list[str], rows: list[list[str]]) -> str:
    lines = [headers, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headers))]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    return "\n".join(padded)


def _html_table(headers: list[str], rows: list[list[str]]) -> str:
    # Jupyter aligns cells to the right, which suits numbers only.
    head = "".join(
        f'<th scope="col" style="text-align:left">{html.escape(header)}</th>' for header in headers
    )
    body = "".join(
        "<tr>"
        + "".join(f'<td style="text-align:left">{html.escape(cell)}</td>' for cell in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def pods(core: Any, namespace: str, selector: str = "", *, full_names: bool = False) -> Text:
    """Show the Pods of a namespace: name, ready containers, phase, restarts, node.

    Generated parts of names are masked unless `full_names` is true.
    """
    found = core.list_namespaced_pod(namespace, label_selector=selector).items
    rows = [
        [pod.metadata.name if full_names else masked_name(pod), *_pod_cells(pod)] for pod in found
    ]
    return table(["pod", "ready", "phase", "restarts", "node"], sorted(rows))


def _pod_cells(pod: Any) -> list[str]:
    statuses = pod.status.container_statuses or []
    ready = sum(1 for status in statuses if status.ready)
    restarts = sum(status.restart_count for status in statuses)
    phase = "Terminating" if pod.metadata.deletion_timestamp else pod.status.phase
    ratio = f"{ready}/{len(pod.spec.containers)}"
    return [ratio, phase, str(restarts), pod.spec.node_name or "-"]


def nodes(core: Any) -> Text:
    """Show the cluster's nodes: name, role, whether Ready, kubelet version."""
    rows = [
        (
            node.metadata.name,
            "control-plane" if _is_control_plane(node) else "worker",
            next((c.status for c in node.status.conditions or [] if c.type == "Ready"), "-"),
            node.status.node_info.kubelet_version,
        )
        for node in core.list_node().items
    ]
    return table(["node", "role", "ready", "version"], sorted(rows))


def _is_control_plane(node: Any) -> bool:
    # Clusters before 1.20 knew only the label "master" (KEP-2067).
    roles = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
    return any(role in (node.metadata.labels or {}) for role in roles)


def events(core: Any, namespace: str, name: str = "") -> Text:
    """Show the Events of a namespace, or about one object, in the order they happened.

    Durations, addresses and generated names in the messages are masked.
    """
    about = f"involvedObject.name={name}" if name else ""
    found = core.list_namespaced_event(namespace, field_selector=about).items
    rows = [
        (
            event.type,
            event.reason,
            event.reporting_component or (event.source and event.source.component),
            f"{event.involved_object.kind}/{mask_names(event.involved_object.name)}",
            mask(event.message or ""),
        )
        for event in sorted(found, key=describe.event_time)
    ]
    return table(["type", "reason", "from", "object", "message"], rows)


def conditions(obj: Any) -> Text:
    """Show the conditions of an object's status: type, status, reason."""
    rows = [(c.type, c.status, c.reason) for c in obj.status.conditions or []]
    return table(["condition", "status", "reason"], sorted(rows))


def yaml(obj: Any, only: Sequence[str] = ()) -> Text:
    """Show an object (of the client, or a dict) as YAML, without what changes from run to run.

    `only` picks paths: `["metadata.name", "spec.containers[0].image"]`.
    """
    wire = _stable(to_wire(obj))
    if only:
        wire = {path: _pick(wire, path) for path in only}
    else:
        wire = {key: wire[key] for key in sorted(wire, key=_field_position)}
    return Text(pyyaml.safe_dump(wire, sort_keys=False, allow_unicode=True).rstrip())


def _field_position(field: str) -> int:
    return _FIELD_ORDER.index(field) if field in _FIELD_ORDER else len(_FIELD_ORDER)


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _stable(v) for k, v in value.items() if not _UNSTABLE.fullmatch(k)}
    if isinstance(value, list):
        return [_stable(one) for one in value]
    return mask_names(value) if isinstance(value, str) else value


def to_wire(obj: Any) -> dict[str, Any]:
    """Turn an object of the official client into a dict with the API's own field names."""
    from kubernetes.client import ApiClient

    wire = ApiClient().sanitize_for_serialization(obj)
    return dict(wire)


def _pick(wire: Any, path: str) -> Any:
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        try:
            wire = wire[int(index)] if index else wire[key]
        except (KeyError, IndexError, TypeError):
            return None
    return wire


def tree(root: Mapping[str, Any]) -> Text:
    """Show nested dicts as a tree; an empty dict is a leaf."""
    return Text("\n".join(line for name in root for line in [name, *_branches(root[name])]))


def _branches(level: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for position, (name, below) in enumerate(level.items(), start=1):
        last = position == len(level)
        lines.append(f"{'└─ ' if last else '├─ '}{name}")
        lines += [f"{'   ' if last else '│  '}{line}" for line in _branches(below)]
    return lines


def owners(core: Any, apps: Any, namespace: str) -> Text:
    """Show the tree of Deployments, ReplicaSets and Pods that their ownerReferences make.

    Children that are the same but for a generated name are counted on one line.
    """
    found = [
        *(("Deployment", one) for one in apps.list_namespaced_deployment(namespace).items),
        *(("ReplicaSet", one) for one in apps.list_namespaced_replica_set(namespace).items),
        *(("Pod", one) for one in core.list_namespaced_pod(namespace).items),
    ]
    roots = [entry for entry in found if not entry[1].metadata.owner_references]
    return tree(_owned(roots, found))


def _owned(level: list[tuple[str, Any]], found: list[tuple[str, Any]]) -> dict[str, Any]:
    names: dict[str, int] = {}
    children: dict[str, Any] = {}
    for kind, obj in level:
        name = f"{kind}/{masked_name(obj)}"
        names[name] = names.get(name, 0) + 1
        uid = obj.metadata.uid
        below = [e for e in found if uid in {o.uid for o in e[1].metadata.owner_references or []}]
        children.setdefault(name, {}).update(_owned(below, found))
    return {f"{n} ×{count}" if count > 1 else n: children[n] for n, count in names.items()}


def masked_name(obj: Any) -> str:
    """Return an object's name, its generated parts replaced by `xxxxx`."""
    metadata = obj.metadata
    generated = metadata.generate_name or metadata.owner_references
    return mask_names(metadata.name) if generated else str(metadata.name)


def mask(text: str) -> str:
    """Replace what differs from run to run: generated names, addresses, durations, sizes."""
    text = _ADDRESS.sub("x.x.x.x", mask_names(text))
    text = _DURATION.sub("…s", text)
    return _SIZE.sub("… bytes", text)


def mask_names(text: str) -> str:
    """Replace the generated parts of names: `web-6d4cf56db6-x7k2p` becomes `web-xxxxx-xxxxx`."""
    return _GENERATED.sub(lambda found: "-xxxxx" * sum(map(bool, found.groups())), text)
