"""Who a container's processes are (kuberuntime/security_context.go and pkg/securitycontext).

Users, groups, the read-only root and the ownership of volumes are simulated. Capabilities are
shown in /proc, but no simulated program needs one; seccomp, AppArmor and SELinux are taken and
change nothing.
"""

from datetime import UTC, datetime
from typing import Any

from kubesim.apimachinery.objects import Object
from kubesim.kubelet.context import described
from kubesim.kubelet.volumes import PodVolume
from kubesim.runtime import capabilities
from kubesim.runtime.catalog.family import Image
from kubesim.runtime.filesystem import SETGID, Credentials, Directory, FileSystem, Link, Node
from kubesim.runtime.users import user_numbers

EPOCH = datetime.fromtimestamp(0, UTC)
READ_FOR_GROUP = 0o440
ENTER_FOR_GROUP = 0o110


class RootRefusedError(Exception):
    """The container must not run as root, and would; the message is the kubelet's."""


def credentials(pod: Object, container: Object, image: Image) -> Credentials:
    """Return who a container's processes are. Raises RootRefusedError."""
    of_pod = pod["spec"].get("securityContext") or {}
    user = _effective(pod, container, "runAsUser")
    if _effective(pod, container, "runAsNonRoot"):
        _check_not_root(pod, container, image, user)
    groups = [*(of_pod.get("supplementalGroups") or [])]
    if of_pod.get("fsGroup") is not None:
        groups.append(of_pod["fsGroup"])
    group = _effective(pod, container, "runAsGroup")
    uid, gid = (user, 0) if user is not None else _image_user(image)
    gid = gid if group is None else group
    return Credentials(uid, gid, tuple(sorted(set(groups))), _capabilities(container))


def _capabilities(container: Object) -> int:
    context = container.get("securityContext") or {}
    if context.get("privileged"):
        return capabilities.EVERY
    changes = context.get("capabilities") or {}
    return capabilities.adjusted(changes.get("add") or [], changes.get("drop") or [])


def _check_not_root(pod: Object, container: Object, image: Image, user: int | None) -> None:
    """Refuse a container that would run as root (verifyRunAsNonRoot)."""
    if user is not None:
        why = "" if user else "container's runAsUser breaks non-root policy"
    elif image.user and not image.user.isdigit():
        why = (
            f"container has runAsNonRoot and image has non-numeric user ({image.user}), "
            "cannot verify user is non-root"
        )
    else:
        is_root = not int(image.user or 0)
        why = "container has runAsNonRoot and image will run as root" if is_root else ""
    if why:
        name = container["name"]
        raise RootRefusedError(f'{why} (pod: "{described(pod)}", container: {name})')


def _image_user(image: Image) -> tuple[int, int]:
    """Return the numbers of the user that an image names, which its /etc/passwd may know."""
    if not image.user or image.user.isdigit():
        return int(image.user or 0), 0
    files = FileSystem(image.build(lambda: EPOCH).root, lambda: EPOCH)
    return user_numbers(files).get(image.user, (0, 0))


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
