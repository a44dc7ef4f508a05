"""What is mounted into containers: volumes and the files that the kubelet writes."""

from collections.abc import Mapping
from datetime import datetime

from kubesim.apimachinery.objects import Object
from kubesim.kubelet.environment import expand
from kubesim.kubelet.volumes import PodVolume, subpath
from kubesim.network.fabric import DNS_ADDRESS
from kubesim.runtime.container import MountPoint
from kubesim.runtime.filesystem import File

DOMAIN = "cluster.local"


def hostname(pod: Object) -> str:
    """Return the Pod's hostname."""
    return str(pod["spec"].get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")


def etc_files(pod: Object, ip: str, now: datetime) -> list[MountPoint]:
    """Return /etc/hosts, /etc/hostname and /etc/resolv.conf, shared by a Pod's containers."""
    contents = {
        "/etc/hosts": _hosts(pod, ip),
        "/etc/hostname": hostname(pod) + "\n",
        "/etc/resolv.conf": _resolv_conf(pod),
    }
    return [
        MountPoint(path, File(0o644, now, bytearray(text.encode())))
        for path, text in contents.items()
    ]


def _hosts(pod: Object, ip: str) -> str:
    spec = pod["spec"]
    name = hostname(pod)
    if spec.get("subdomain"):
        full = f"{name}.{spec['subdomain']}.{pod['metadata']['namespace']}.svc.{DOMAIN}"
        name = f"{full}\t{name}"
    lines = [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
        f"{ip}\t{name}",
    ]
    aliases = spec.get("hostAliases") or []
    if aliases:
        lines += ["", "# Entries added by HostAliases."]
        lines += ["\t".join([each["ip"], *(each.get("hostnames") or [])]) for each in aliases]
    return "\n".join(lines) + "\n"


def _resolv_conf(pod: Object) -> str:
    spec = pod["spec"]
    own = spec.get("dnsConfig") or {}
    servers, search, options = [], [], []
    if spec.get("dnsPolicy", "ClusterFirst").startswith("ClusterFirst"):
        namespace = pod["metadata"]["namespace"]
        servers = [DNS_ADDRESS]
        search = [f"{namespace}.svc.{DOMAIN}", f"svc.{DOMAIN}", DOMAIN]
        options = ["ndots:5"]
    servers += own.get("nameservers") or []
    search += own.get("searches") or []
    for each in own.get("options") or []:
        value = f":{each['value']}" if each.get("value") else ""
        options = [old for old in options if old.partition(":")[0] != each["name"]]
        options.append(each["name"] + value)
    lines = [f"search {' '.join(search)}"] if search else []
    lines += [f"nameserver {server}" for server in servers]
    lines += [f"options {' '.join(options)}"] if options else []
    return "\n".join(lines) + "\n"


def volume_mounts(
    container: Object, volumes: Mapping[str, PodVolume], variables: Mapping[str, str], now: datetime
) -> list[MountPoint]:
    """Return a container's volumeMounts."""
    result = []
    for each in container.get("volumeMounts") or []:
        volume = volumes[each["name"]]
        path = expand(each.get("subPathExpr") or "", variables) or each.get("subPath") or ""
        node = subpath(volume.root, path, now) if path else volume.root
        read_only = volume.read_only or each.get("readOnly", False)
        result.append(MountPoint(each["mountPath"], node, read_only))
    return result
