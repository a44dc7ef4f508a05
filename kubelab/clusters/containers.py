"""Container engines: which one answers, and why one does not."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubelab.clusters.errors import ClusterError

PROGRAMS = ("docker", "podman", "nerdctl")  # in the order in which kind itself looks for them
ANSWER_TIMEOUT = 15
REGISTRY_TIMEOUT = 15


@dataclass(frozen=True)
class ContainerEngine:
    """A container engine that answered."""

    program: str
    path: str
    version: str
    cgroup: int
    memory: int  # bytes that its machine has; 0 where it does not say

    def run(self, *args: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run the engine's command line and return what it did, whatever its exit code."""
        return _run([self.path, *args], timeout)

    def has_image(self, image: str) -> bool:
        """Tell whether the image is here."""
        return self.run("image", "inspect", image, timeout=ANSWER_TIMEOUT).returncode == 0

    def why_not_pullable(self, image: str) -> str:
        """Return why the registry does not offer the image, "" if it does (nothing is pulled)."""
        asked = self.run("manifest", "inspect", image, timeout=REGISTRY_TIMEOUT)
        return "" if asked.returncode == 0 else _last_line(asked.stderr)


def find() -> ContainerEngine:
    """Return the container engine that answers: KIND_EXPERIMENTAL_PROVIDER's, else the first.

    Raises ClusterError that says of the first installed one why it does not answer.
    """
    asked_for = os.environ.get("KIND_EXPERIMENTAL_PROVIDER")
    failures = []
    for program in [asked_for] if asked_for else PROGRAMS:
        if path := shutil.which(program):
            try:
                return _ask(program, path)
            except ClusterError as error:
                failures.append(error)
    if failures:
        raise failures[0]
    raise ClusterError(
        f"No container engine is installed ({', '.join(PROGRAMS)}).",
        "Install Docker (https://docs.docker.com/engine/install/), "
        "or use the embedded engine, which needs none: `kubelab up --engine embedded`.",
    )


def _ask(program: str, path: str) -> ContainerEngine:
    answer = _run([path, "info", "--format", "{{json .}}"], ANSWER_TIMEOUT)
    info = _parse(answer.stdout)
    # The client prints the information it has about itself also when the daemon does not answer.
    if answer.returncode != 0 or info.get("ServerErrors"):
        raise _diagnose(program, answer.stderr or "\n".join(info.get("ServerErrors", [])))
    host = info.get("host", {})  # podman's own layout
    return ContainerEngine(
        program=program,
        path=path,
        version=info.get("ServerVersion") or info.get("version", {}).get("Version", "?"),
        cgroup=1 if (info.get("CgroupVersion") or host.get("cgroupVersion")) in ("1", "v1") else 2,
        memory=info.get("MemTotal") or host.get("memTotal", 0),
    )


def _parse(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _diagnose(program: str, stderr: str) -> ClusterError:
    if "permission denied" in stderr.lower():
        return ClusterError(
            f"{program} is installed, but you may not use it: {_last_line(stderr)}",
            "Join its group with `sudo usermod -aG docker $USER` and log in again, "
            "or use the embedded engine: `kubelab up --engine embedded`.",
        )
    return ClusterError(
        f"{program} is installed, but its daemon does not answer: {_last_line(stderr)}",
        "Start it (`sudo systemctl start docker`, or open Docker Desktop), "
        "or use the embedded engine: `kubelab up --engine embedded`.",
    )


def _run(command: Sequence[str], timeout: float | None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer within {timeout:g} s")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
