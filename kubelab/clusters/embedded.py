"""The embedded engine: kubesim, in a daemon of its own that outlives the notebook.

Its state is on disk: a daemon that died is started again on the same data, and everything is
still there.
"""

import contextlib
import json
import ssl
import sys
import urllib.error
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import yaml

from kubelab import waiting
from kubelab.clusters import config as cluster_config
from kubelab.clusters import saving
from kubelab.clusters.cluster import Cluster, Plan
from kubelab.clusters.errors import ClusterError
from kubelab.clusters.faults import Faults
from kubelab.clusters.logs import useful_lines
from kubelab.clusters.processes import Daemon, spawn
from kubelab.clusters.progress import say
from kubelab.clusters.state import ClusterDirectory, Record, write_private

START_TIMEOUT = 60
CONTROL_TIMEOUT = 60
READY_LINE = "kubesim: serving on"


class Embedded(Cluster):
    """A simulated cluster, served by `python -m kubesim serve`."""

    engine = "embedded"
    missing: ClassVar = {}

    @classmethod
    def start(cls, directory: ClusterDirectory, plan: Plan) -> Self:
        """Attach to the daemon if it lives, start it again if it died, or create the cluster."""
        cluster = cls(directory)
        record = directory.load()
        if not record or not record.complete:
            cluster._create(plan)
        elif not cluster.alive():
            say(f"cluster {cluster.name}: its process is gone, starting it again on its data")
            cluster._serve(complete=True)
        cluster._copy_kubeconfig()
        cluster._wait_until_ready(timeout=START_TIMEOUT)
        return cluster

    def _create(self, plan: Plan) -> None:
        """Create the cluster anew; what an interrupted creation left behind goes first."""
        directory = self._directory
        config = plan.config or cluster_config.for_nodes(self.name)
        cluster_config.check_port(config)
        self._delete()
        directory.make()
        write_private(directory.config, yaml.safe_dump(config, sort_keys=False))
        try:
            daemon = self._serve(complete=False)
            self._copy_kubeconfig()
            self._wait_until_ready(len(config["nodes"]), timeout=START_TIMEOUT)
        except BaseException:
            self._delete()
            raise
        directory.save(_record(daemon, complete=True))

    def _serve(self, complete: bool) -> Daemon:
        """Start the daemon and wait until it serves; on failure, say what it printed last."""
        directory = self._directory
        command = [sys.executable, "-m", "kubesim", "serve", "--data", str(self._data)]
        command += ["--name", self.name, "--config", str(directory.config)]
        daemon = spawn(command, directory.log)
        try:
            directory.save(_record(daemon, complete))
            self._wait_for_ready_line(daemon)
        except BaseException:
            daemon.terminate()
            raise
        return daemon

    def _wait_for_ready_line(self, daemon: Daemon) -> None:
        log = self._directory.log
        with contextlib.suppress(waiting.WaitTimeout):
            waiting.until(
                lambda: READY_LINE in log.read_text() or not daemon.alive(),
                timeout=START_TIMEOUT,
            )
        if READY_LINE not in log.read_text():
            raise ClusterError(
                f"The embedded cluster {self.name} did not start:\n{useful_lines(log.read_text())}",
                f"Read the whole log: {log}",
            )

    @property
    def _data(self) -> Path:
        return self._directory.path / "data"

    def _copy_kubeconfig(self) -> None:
        """Take the kubeconfig from the daemon, whose port can be another after it was restarted."""
        write_private(self.kubeconfig, (self._data / "kubeconfig").read_text())

    def _daemon(self) -> Daemon | None:
        record = self._directory.load()
        return Daemon(**record.details) if record else None

    def alive(self) -> bool:
        """Tell whether the daemon runs."""
        daemon = self._daemon()
        return daemon is not None and daemon.alive()

    def _delete(self) -> None:
        """End the daemon and remove its data."""
        if daemon := self._daemon():
            daemon.terminate()
        self._directory.remove()

    def _stop_node(self, name: str) -> None:
        self._control(f"nodes/{name}/stop")

    def _start_node(self, name: str) -> None:
        self._control(f"nodes/{name}/start")

    def _load_image(self, image: str) -> None:
        self._control("images", {"image": image})

    def _advance(self, seconds: float) -> None:
        self._control("clock/advance", {"seconds": seconds})

    def _set_speed(self, speed: float) -> None:
        self._control("clock/speed", {"speed": speed})

    def _clock(self) -> dict[str, Any]:
        return self._control("clock", method="GET")

    def _faults(self) -> Faults:
        return Faults(self._control)

    def _control_port(self) -> int:
        """Return where the simulation's own knobs are, also while no API server answers."""
        return int(json.loads((self._data / "cluster.json").read_text())["control_port"])

    def _save(self, path: Path) -> None:
        saving.save(self._data, self._directory.config, path)

    @classmethod
    def load(cls, directory: ClusterDirectory, source: Path) -> Self:
        """Make the cluster of a file that `save` wrote go on, in a directory of its name."""
        cluster = cls(directory)
        directory.make()
        saving.unpack(source, cluster._data, directory.config)
        try:
            directory.save(_record(cluster._serve(complete=False), complete=True))
            cluster._copy_kubeconfig()
            cluster._wait_until_ready(timeout=START_TIMEOUT)
        except BaseException:
            cluster._delete()
            raise
        return cluster

    def _history(self) -> str:
        return self._ask("history", None, "GET").decode()

    def _control(
        self, path: str, body: dict[str, Any] | None = None, method: str = "POST"
    ) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._ask(path, body, method))
        return answer

    def _ask(self, path: str, body: dict[str, Any] | None, method: str) -> bytes:
        """Call one of the simulation's own paths, which the official client does not know."""
        configuration = self.api_client().configuration
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
        request = urllib.request.Request(
            f"https://127.0.0.1:{self._control_port()}/kubesim/v1/{path}",
            data=None if method == "GET" else json.dumps(body or {}).encode(),
            method=method,
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, context=context, timeout=CONTROL_TIMEOUT) as said:  # noqa: S310
                answer: bytes = said.read()
                return answer
        except urllib.error.HTTPError as error:
            raise ClusterError(_message(error.read()) or str(error)) from None


def _record(daemon: Daemon, complete: bool) -> Record:
    return Record(Embedded.engine, complete, asdict(daemon))


def _message(body: bytes) -> str:
    """Return the message of a Status, "" where the body is none."""
    try:
        return str(json.loads(body).get("message", ""))
    except (ValueError, AttributeError):
        return ""
