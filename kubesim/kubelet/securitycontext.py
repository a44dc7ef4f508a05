"""Who a container's processes are (kuberuntime/security_context.go and pkg/securitycontext).

Users, groups, the read-only root and the ownership of volumes are simulated. Capabilities,
seccomp, AppArmor and SELinux are taken and change nothing: no simulated program needs them.
"""

from typing import Any

from kubesim.apimachinery.objects import Object
from kubesim.kubelet.volumes import PodVolume
from kubesim.runtime.filesystem import SETGID, Credentials, Directory, Link, Node

IMAGE_USER = 0  # every simulated image runs as root unless told otherwise
READ_FOR_GROUP = 0o440
ENTER_FOR_GROUP = 0o110


class RootRefusedError(Exception):
    """The container must not run as root, and would; the message is the kubelet's."""


def credentials(pod: Object, container: Object) -> Credentials:
    """Return who a container's processes are. Raises RootRefusedError."""
    of_pod = pod["spec"].get("securityContext") or {}
    user = _effective(pod, container, "runAsUser")
    if _effective(pod, container, "runAsNonRoot") and not (IMAGE_USER if user is None else user):
        metadata = pod["metadata"]
        where = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        why = "container's runAsUser breaks non-root policy"
        if user is None:
            why = "container has runAsNonRoot and image will run as root"
        raise RootRefusedError(f'{why} (pod: "{where}", container: {container["name"]})')
    groups = [*(of_pod.get("supplementalGroups") or [])]
    if of_pod.get("fsGroup") is not None:
        groups.append(of_pod["fsGroup"])
    group = _effective(pod, container, "runAsGroup")
    return Credentials(user or IMAGE_USER, group or 0, tuple(sorted(set(groups))))


def read_only_root(container: Object) -> bool:
    """Tell whether a container may not write to its own file system."""
    return bool((container.get("securityContext") or {}).get("readOnlyRootFilesystem"))


def _effective(pod: Object, container: Object, field: str) -> Any:
    """Return a field of a container's security context, else of its Pod's."""
    own = (container.get("securityContext") or {}).get(field)
    return (pod["spec"].get("securityContext") or {}).get(field) if own is None else own


def give_to_fs_group(pod: Object, volume: PodVolume) -> None:
    """Let a Pod's fsGroup own a volume (pkg/volume SetVolumeOwnership); never the node's files."""
    group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    sources = {each["name"]: each for each in pod["spec"].get("volumes") or []}
    if group is not None and "hostPath" not in sources[volume.name]:
        _give(volume.root, group, writable=not volume.read_only)


def _give(node: Node, group: int, *, writable: bool) -> None:
    node.gid = group
    if isinstance(node, Link):
        return
    node.mode |= READ_FOR_GROUP | (READ_FOR_GROUP >> 1 if writable else 0)
    if isinstance(node, Directory):
        node.mode |= ENTER_FOR_GROUP | SETGID
        for child in node.entries.values():
            _give(child, group, writable=writable)
