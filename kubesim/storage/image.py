"""A disk as data, so that it can be kept beside the cluster's state and put back."""

import base64
from datetime import datetime
from typing import Any

from kubesim.runtime.filesystem import Binary, Device, Directory, File, Link, Node

Data = dict[str, Any]


def dump(node: Node) -> Data:
    """Return a node of a file system, and what is below it, as JSON has it."""
    common: Data = {"mode": node.mode, "modified": node.modified.isoformat()}
    if node.uid or node.gid:
        common["owner"] = [node.uid, node.gid]
    match node:
        case Directory():
            below = {name: dump(entry) for name, entry in node.entries.items()}
            return {**common, "entries": below}
        case Binary():
            return {**common, "program": node.program}
        case File():
            return {**common, "data": base64.b64encode(node.data).decode()}
        case Link():
            return {**common, "target": node.target}
        case Device():
            return {**common, "device": node.kind}
    raise TypeError(f"{type(node).__name__} is nothing that a disk holds")


def load(data: Data) -> Node:
    """Return the node that was dumped. Raises KeyError, TypeError and ValueError."""
    mode, modified = data["mode"], datetime.fromisoformat(data["modified"])
    node: Node
    if "entries" in data:
        entries = {name: load(each) for name, each in data["entries"].items()}
        node = Directory(mode, modified, entries)
    elif "program" in data:
        node = Binary(mode, modified, bytearray(b"\x7fELF"), data["program"])
    elif "target" in data:
        node = Link(mode, modified, data["target"])
    elif "device" in data:
        node = Device(mode, modified, data["device"])
    else:
        node = File(mode, modified, bytearray(base64.b64decode(data["data"])))
    node.uid, node.gid = data.get("owner", (0, 0))
    return node
