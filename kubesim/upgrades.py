"""Upgrading a node of a running cluster: first its control plane, part by part, then its kubelet.

What a node runs is on its own disk: the version of its kubelet, and its static Pods' manifests. A
cluster that is served again finds it in what the nodes have last told the API server.
"""

from collections.abc import Container, Iterable, Mapping
from typing import Protocol

from kubesim.apimachinery.objects import Object
from kubesim.apiserver.server import APIServer
from kubesim.clientgo.client import Client
from kubesim.clock import Clock
from kubesim.kubeadm.config import ClusterConfig
from kubesim.kubeadm.images import component_images
from kubesim.kubeadm.manifests import COMPONENTS, ControlPlane, static_pods
from kubesim.kubeadm.upgrade import Releases, UpgradeError
from kubesim.kubeadm.versions import VersionError, component_image, parse
from kubesim.kubelet.kubelet import Kubelet
from kubesim.runtime.images import ImageStore
from kubesim.runtime.process import Program

SYSTEM = "kube-system"
PATIENCE = 300.0  # seconds that kubeadm waits for a component (UpgradeManifestTimeout)
POLL = 0.2


class Machines(Protocol):
    """What is upgraded."""

    server: APIServer
    images: ImageStore

    @property
    def clock(self) -> Clock:
        """The simulated time."""

    @property
    def config(self) -> ClusterConfig:
        """What the cluster was made with."""

    def kubelet(self, node: str) -> Kubelet:
        """Return a node's kubelet. Raises KeyError."""


class Upgrades:
    """Knows which release every node runs, and replaces it by another."""

    def __init__(
        self,
        machines: Machines,
        api: Client,
        members: Mapping[str, str],
        versions: Mapping[str, str],
        programs: Mapping[str, Mapping[str, Program]],
    ) -> None:
        self._machines = machines
        self._api = api
        self._members = members  # address of each control plane node
        self._versions = dict(versions)  # of every node
        self._programs = programs
        for version in sorted({machines.config.version, *versions.values()}):
            self._pull(version)
        for node, version in versions.items():
            machines.kubelet(node).config.version = version
        for node in members:
            for file, manifest in self._manifests(node).items():
                machines.kubelet(node).manifests.write(file, manifest)
        self._tell_version()

    async def upgrade(self, node: str, wanted: str) -> None:
        """Bring a node to another release. Raises UpgradeError, VersionError."""
        version = str(self.releases().check(node, wanted))
        self._pull(version)
        self._versions[node] = version
        kubelet = self._machines.kubelet(node)
        if node in self._members:
            for component in COMPONENTS:
                await self._replace(node, f"{component}.yaml")
            self._tell_version()
        await kubelet.pause()
        kubelet.config.version = version
        kubelet.resume()
        if node in self._members and len({self._versions[each] for each in self._members}) == 1:
            await self._upgrade_addons(version)

    def releases(self) -> Releases:
        """Return what every node runs."""
        found = {node: parse(version) for node, version in self._versions.items()}
        return Releases({node: found[node] for node in self._members}, found)

    def _pull(self, version: str) -> None:
        for image in component_images(version, self._programs):
            self._machines.images.add(image)

    def _manifests(self, node: str) -> dict[str, Object]:
        members = [*self._members.items()]
        address, version = self._members[node], self._versions[node]
        return static_pods(ControlPlane(self._machines.config, node, address, version, members))

    async def _replace(self, node: str, file: str) -> None:
        """Write another manifest, and wait until the kubelet runs it and finds it ready."""
        clock, kubelet = self._machines.clock, self._machines.kubelet(node)
        manifest = self._manifests(node)[file]
        image = manifest["spec"]["containers"][0]["image"]
        kubelet.manifests.write(file, manifest)
        name = f"{manifest['metadata']['name']}-{node}"
        try:
            async with clock.timeout(PATIENCE):
                while not _runs(kubelet, name, image):
                    await clock.sleep(POLL)
        except TimeoutError:
            raise UpgradeError(f"{name} does not become ready with {image}") from None

    def _tell_version(self) -> None:
        """Let /version answer with the oldest release among the API servers."""
        self._machines.server.version = str(min(self.releases().servers.values()))

    async def _upgrade_addons(self, version: str) -> None:
        """Bring kube-proxy and CoreDNS to the release of the control plane, and note it."""
        for resource, name in (("daemonsets.apps", "kube-proxy"), ("deployments.apps", "coredns")):
            containers = [{"name": name, "image": component_image(name, version)}]
            patch = {"spec": {"template": {"spec": {"containers": containers}}}}
            listed = (await self._api.list(resource, SYSTEM))["items"]
            if any(each["metadata"]["name"] == name for each in listed):
                await self._api.patch(resource, name, patch, SYSTEM)
        name = "kubeadm-config"
        found = (await self._api.get("configmaps", name, SYSTEM))["data"]["ClusterConfiguration"]
        lines = [
            f"kubernetesVersion: {version}" if line.startswith("kubernetesVersion:") else line
            for line in found.splitlines()
        ]
        data = {"ClusterConfiguration": "\n".join(lines) + "\n"}
        await self._api.patch("configmaps", name, {"data": data}, SYSTEM)


def _runs(kubelet: Kubelet, name: str, image: str) -> bool:
    worker = kubelet.worker(SYSTEM, name)
    if worker is None or not worker.main[0].ready:
        return False
    return bool(worker.pod["spec"]["containers"][0]["image"] == image)


def last_versions(nodes: Iterable[Object], known: Container[str]) -> dict[str, str]:
    """Return the releases that known nodes have told the API server of and that can be run."""
    told = {
        node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"]
        for node in nodes
        if (node.get("status") or {}).get("nodeInfo")
    }
    return {
        name: version for name, version in told.items() if name in known and _can_be_run(version)
    }


def _can_be_run(version: str) -> bool:
    try:
        parse(version)
    except VersionError:
        return False
    return True
