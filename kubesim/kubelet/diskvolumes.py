"""Volumes whose data lies on the node's disk: hostPath, emptyDir, and what claims are bound to."""

from kubesim.apimachinery.objects import Object, is_controlled_by, uid
from kubesim.apimachinery.quantity import parse
from kubesim.apimachinery.volumes import is_bound_completely, is_meant_for
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.absence import NOT_FOUND
from kubesim.clientgo.client import Client
from kubesim.kubelet.volumes import MountError, VolumeRefusedError, refusal
from kubesim.runtime.filesystem import Directory, Node
from kubesim.storage.disk import PODS, HostPathError, NodeDisk, usage

KINDS = ("emptyDir", "hostPath", "persistentVolumeClaim", "ephemeral")


class DiskVolume:
    """One volume of a Pod."""

    changes = False

    def __init__(self, spec: Object, pod: Object, disk: NodeDisk, client: Client) -> None:
        self.name: str = spec["name"]
        self.read_only = bool((spec.get("persistentVolumeClaim") or {}).get("readOnly"))
        self.root: Node
        self._spec = spec
        self._disk = disk
        self._client = client
        self._place = f"{PODS}/{uid(pod)}/volumes/kubernetes.io~empty-dir/{self.name}"

    async def fill(self, pod: Object) -> None:
        """Find the data. Raises MountError, HostPathError or VolumeRefusedError."""
        if "hostPath" in self._spec:
            self.root = self._host_path(self._spec["hostPath"])
        elif "persistentVolumeClaim" in self._spec:
            await self._fill_from(self._spec["persistentVolumeClaim"]["claimName"], pod)
        elif "ephemeral" in self._spec:
            await self._fill_from(f"{pod['metadata']['name']}-{self.name}", pod, owned=True)
        elif (self._spec.get("emptyDir") or {}).get("medium") == "Memory":
            self.root = Directory(0o777, self._disk.tree.now())
        else:
            self.root = self._disk.directory(self._place, 0o777)

    @property
    def is_limited(self) -> bool:
        """Whether it may hold only so much."""
        return "sizeLimit" in (self._spec.get("emptyDir") or {})

    @property
    def excess(self) -> str:
        """What is wrong when an emptyDir holds more than it may; empty when nothing is."""
        limit = self._spec["emptyDir"]["sizeLimit"]
        if usage(self.root) <= parse(limit):
            return ""
        return f'Usage of EmptyDir volume "{self.name}" exceeds the limit "{limit}". '

    async def _fill_from(self, claim_name: str, pod: Object, *, owned: bool = False) -> None:
        """Take the data of the volume that a claim is bound to."""
        namespace = pod["metadata"]["namespace"]
        claim = await self._get("persistentvolumeclaims", claim_name, namespace)
        if owned and not is_controlled_by(claim, pod):
            raise self._unprocessed(namespace, claim_name, "PVC was not created for pod")
        if not is_bound_completely(claim):
            raise self._unprocessed(namespace, claim_name, "PVC is not bound")
        volume = await self._get("persistentvolumes", claim["spec"]["volumeName"], "")
        if not is_meant_for(volume, claim):
            raise self._unprocessed(namespace, claim_name, "PVC and PV are not bound to each other")
        self.root = self._persistent(volume)

    async def _get(self, resource: str, name: str, namespace: str) -> Object:
        try:
            return await self._client.get(resource, name, namespace or None)
        except StatusError as error:
            if error.code != NOT_FOUND:
                raise
            kind = "PVC" if namespace else "PV"
            why = f"failed to fetch {kind} from API server: {error}"
            raise self._unprocessed(namespace or "", name, why) from None

    def _unprocessed(self, namespace: str, claim: str, why: str) -> MountError:
        place = f"{namespace}/{claim}" if namespace else claim
        return MountError(
            f"Unable to attach or mount volumes: unmounted volumes=[{self.name}], unattached "
            f"volumes=[], failed to process volumes=[{self.name}]: error processing PVC {place}: "
            f"{why}"
        )

    def _persistent(self, volume: Object) -> Node:
        spec, name = volume["spec"], volume["metadata"]["name"]
        if spec.get("volumeMode") == "Block":
            raise VolumeRefusedError(refusal("raw block"))
        if "hostPath" in spec:
            try:
                return self._host_path(spec["hostPath"])
            except HostPathError as error:
                text = f'MountVolume.SetUp failed for volume "{name}" : {error}'
                raise MountError(text) from None
        if "local" in spec:
            found = self._disk.find(spec["local"]["path"])
            if found is None:
                raise MountError(
                    f'MountVolume.NewMounter initialization failed for volume "{name}" : '
                    f'path "{spec["local"]["path"]}" does not exist'
                )
            return found
        kinds = {field for field in spec if isinstance(spec[field], dict)}
        source = next(iter(sorted(kinds - {"capacity", "claimRef", "nodeAffinity"})), "such")
        raise VolumeRefusedError(refusal(source))

    def _host_path(self, source: Object) -> Node:
        return self._disk.host_path(source["path"], source.get("type") or "")
