"""The kind engine: a real cluster whose nodes are containers.

pytest-kind creates it; what pytest-kind leaves to chance is settled here: which binaries and node
image, whose cluster an existing one is, where the kubeconfig goes, when the cluster is ready, and
that a creation which fails half-way leaves nothing behind.
"""

import re
import sys
from typing import Any, ClassVar, Self

import yaml

from kubelab.clusters import config as cluster_config
from kubelab.clusters import containers
from kubelab.clusters.cluster import Cluster, Plan
from kubelab.clusters.errors import ClusterError
from kubelab.clusters.kind_tools import Node, Tools, node_image, nodes_of
from kubelab.clusters.logs import useful_lines
from kubelab.clusters.processes import run_logged
from kubelab.clusters.progress import say
from kubelab.clusters.state import ClusterDirectory, Record, write_private

# What a line in kind's log means, and what mends it: https://kind.sigs.k8s.io/docs/user/known-issues/
ADVICE = {
    r"too many open files|inotify": "Raise the limits: `sudo sysctl "
    "fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`.",
    r"no space left": "Make room: `docker system df` shows what images and containers take.",
    r"host using cgroup v1|cgroups v1 support": "Boot with cgroup v2, or set KIND_NODE_IMAGE to an "
    "image of Kubernetes 1.34 or older.",
    r"could not find a log line": "A node did not boot: see that KIND_NODE_IMAGE is an image made "
    "for kind, and what `kubelab doctor` says of inotify.",
    r"port is already allocated|address already in use": "Stop what uses the port, or leave "
    "`apiServerPort` out of the configuration.",
    r"failed to pull|manifest unknown|pull access denied|no such host": "Pull the node image "
    "yourself with `docker pull`, or see that this machine reaches the registry.",
}
NO_ADVICE = "See `kubelab doctor`, or use the embedded engine: `kubelab up --engine embedded`."


class Kind(Cluster):
    """A real cluster that kind runs in containers."""

    engine = "kind"
    missing: ClassVar = {
        "advance-time": "the clock of a real cluster cannot be moved, only waited",
        "save": "of a real cluster only etcd can be saved, with `etcdctl snapshot save`",
        "inject-faults": "a real cluster is broken by hand: stop_node, docker, iptables",
    }

    @classmethod
    def start(cls, directory: ClusterDirectory, plan: Plan) -> Self:
        """Reuse our cluster of that name, wake it if it sleeps, or create it.

        A cluster that somebody else made is refused; a half-created one of ours is removed first.
        """
        tools = Tools.find()
        cluster = cls(directory)
        record = directory.load()
        nodes = nodes_of(tools.engine, cluster.name)
        if record and not record.complete:
            say(f"cluster {cluster.name}: an earlier creation did not finish, starting over")
            cluster._remove(tools)
            nodes = []
        if not nodes:
            if record and record.complete:
                say(f"cluster {cluster.name}: its containers are gone, creating it again")
            cluster._create(Tools.find(node_image()), plan)
        else:
            cluster._check_ours(tools, record, nodes)
            cluster._wake(tools, nodes)
        return cluster

    def _check_ours(self, tools: Tools, record: Record | None, nodes: list[Node]) -> None:
        ours = record.details["nodes"] if record else {}
        if any(ours.get(node.name) != node.id for node in nodes):
            raise ClusterError(
                f"A kind cluster called {self.name} exists, and kubelab did not create it.",
                f"Choose another name (KUBELAB_CLUSTER), or delete it if you no longer need it: "
                f"`{tools.kind} delete cluster --name {self.name}`.",
            )

    def _create(self, tools: Tools, plan: Plan) -> None:
        """Create the cluster; whatever stops that half-way, nothing of it is left."""
        directory = self._directory
        config = _with_image(plan.config or cluster_config.for_nodes(self.name))
        cluster_config.check_port(config)
        directory.remove()
        directory.save(Record(self.engine))
        write_private(directory.config, yaml.safe_dump(config, sort_keys=False))
        try:
            self._run_pytest_kind(tools, "--create", str(directory.config))
            directory.kubeconfig.chmod(0o600)
            self._wait_until_ready(len(config["nodes"]))
        except BaseException:
            say(f"cluster {self.name}: not created, removing what there is of it")
            self._remove(tools)
            raise
        nodes = {node.name: node.id for node in nodes_of(tools.engine, self.name)}
        directory.save(Record(self.engine, complete=True, details={"nodes": nodes}))

    def _wake(self, tools: Tools, nodes: list[Node]) -> None:
        """Start the containers if the machine was rebooted, and mend the kubeconfig.

        A worker that is stopped while the control plane runs was stopped on purpose.
        """
        if not any(node.running for node in nodes if "control-plane" in node.name):
            say(f"cluster {self.name}: its nodes are stopped, starting them")
            for node in nodes:
                self._container(tools, "start", node.name)
        self._export_kubeconfig(tools)
        self._wait_until_ready()

    def _export_kubeconfig(self, tools: Tools) -> None:
        """Write the kubeconfig again: the API server's port changes when Docker restarts."""
        self.kubeconfig.unlink(missing_ok=True)
        exported = tools.run_kind(
            "export", "kubeconfig", f"--name={self.name}", f"--kubeconfig={self.kubeconfig}"
        )
        if exported.returncode != 0:
            raise ClusterError(
                f"kind cannot tell the kubeconfig of {self.name}:\n{useful_lines(exported.stderr)}",
                f"Delete the cluster and create it again: `kubelab down --name {self.name}`.",
            )
        self.kubeconfig.chmod(0o600)

    def _run_pytest_kind(self, tools: Tools, *action: str) -> None:
        """Run pytest-kind, showing kind's steps; on failure, raise with its last useful lines."""
        command = [sys.executable, "-m", "kubelab.clusters.pytest_kind_process"]
        command += ["--name", self.name, "--kubeconfig", str(self.kubeconfig)]
        command += ["--kind", str(tools.kind), *action]
        log = self._directory.log
        code = run_logged(
            command, log, show=_show_step, cwd=self._directory.path, env=tools.environment()
        )
        if code != 0:
            text = log.read_text()
            raise ClusterError(
                f"kind failed (exit code {code}). The lines of its log that tell why:\n"
                f"{useful_lines(text)}",
                f"{_advice(text)} The whole log: {log}",
            )

    def _remove(self, tools: Tools) -> None:
        tools.delete(self.name, self.kubeconfig)
        self._directory.remove()

    def alive(self) -> bool:
        """Tell whether the control plane's container runs."""
        try:
            nodes = nodes_of(containers.find(), self.name)
        except ClusterError:
            return False
        return any(node.running for node in nodes if "control-plane" in node.name)

    def _delete(self) -> None:
        """Delete the cluster's containers and its files."""
        tools = Tools.find()
        record = self._directory.load()
        if record and record.complete:
            self._check_ours(tools, record, nodes_of(tools.engine, self.name))
        self._remove(tools)

    def _stop_node(self, name: str) -> None:
        self._switch(name, "stop")

    def _start_node(self, name: str) -> None:
        self._switch(name, "start")

    def _switch(self, name: str, action: str) -> None:
        tools = Tools.find()
        names = [node.name for node in nodes_of(tools.engine, self.name)]
        if name not in names:
            raise ClusterError(
                f"The cluster {self.name} has no node {name}.", f"Its nodes: {', '.join(names)}."
            )
        self._container(tools, action, name)

    def _load_image(self, image: str) -> None:
        tools = Tools.find()
        if not tools.engine.has_image(image):
            raise ClusterError(
                f"The image {image} is not on this machine.",
                f"{tools.engine.program} pull {image}",
            )
        self._run_pytest_kind(tools, "--load-image", image)

    @staticmethod
    def _container(tools: Tools, action: str, name: str) -> None:
        done = tools.engine.run(action, name)
        if done.returncode != 0:
            raise ClusterError(
                f"{tools.engine.program} could not {action} the node {name}:\n"
                f"{useful_lines(done.stderr)}"
            )


def _with_image(config: cluster_config.Config) -> cluster_config.Config:
    """Return the configuration with our node image on each node that names none."""
    nodes: list[dict[str, Any]] = [{"image": node_image(), **node} for node in config["nodes"]]
    return {**config, "nodes": nodes}


def _show_step(line: str) -> None:
    """Show what kind begins to do (" • Preparing nodes 📦 ..."), and what failed (" ✗ …")."""
    if step := re.match(r" ([•✗]) ([^\U00010000-\U0010ffff]*)", line):
        failed = "failed: " if step[1] == "✗" else ""
        say("  " + failed + step[2].strip(" .\n"))


def _advice(log: str) -> str:
    found = [advice for pattern, advice in ADVICE.items() if re.search(pattern, log)]
    return found[0] if found else NO_ADVICE
