"""What this machine has, what it lacks, and the command that mends each lack."""

import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kubelab.clusters import binaries, containers, kind_tools, pins, state
from kubelab.clusters.config import port_is_free
from kubelab.clusters.errors import ClusterError

GIB = 1024**3
ENOUGH_DISK = 10 * GIB  # a node image, its layers unpacked, and three nodes' own data
ENOUGH_MEMORY = 4 * GIB  # three nodes of kind take about 2 GiB, JupyterLab and a browser the rest
# https://kind.sigs.k8s.io/docs/user/known-issues/#pod-errors-due-to-too-many-open-files
ENOUGH_INOTIFY = 512
INOTIFY_MEND = "For several nodes: `sudo sysctl fs.inotify.max_user_instances=512`."

EMBEDDED_PACKAGES = ("kubernetes", "aiohttp", "cryptography", "yaml")
BOTH, KIND = ("embedded", "kind"), ("kind",)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    found: str
    mend: str = ""  # what to do about it; "" where all is well
    stops: tuple[str, ...] = ()  # the engines that cannot run because of it


def main() -> int:
    """Print all findings and which engines can run; return 1 only when none can."""
    findings = list(examine())
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        mark = "✗" if finding.stops else "!" if finding.mend else "✓"
        print(f"{mark} {finding.subject.ljust(width)}  {finding.found}")
        if finding.mend:
            print(f"  {' ' * width}  → {finding.mend}")
    stopped = {engine for finding in findings for engine in finding.stops}
    print()
    for engine in BOTH:
        print(f"engine {engine}: {'cannot run here' if engine in stopped else 'can run'}")
    return 1 if stopped.issuperset(BOTH) else 0


def examine() -> Iterator[Finding]:
    """Look at one thing after the other."""
    yield Finding("Python", platform.python_version())  # too old a one cannot import this
    yield _packages(EMBEDDED_PACKAGES, "Run `make setup` where the course is.", BOTH)
    yield _home()
    yield _disk()
    yield _memory()
    yield _loopback()
    yield _packages(("pytest_kind",), f"pip install {pins.PYTEST_KIND}", KIND)
    yield from _container_engine()
    yield _inotify()
    yield _kind()
    yield _program(pins.KUBECTL, "version", "--client")


def _packages(names: tuple[str, ...], mend: str, stops: tuple[str, ...]) -> Finding:
    lacking = [name for name in names if importlib.util.find_spec(name) is None]
    subject = f"packages of {stops[0]}" if stops != KIND else "pytest-kind"
    if lacking:
        return Finding(subject, f"not installed: {', '.join(lacking)}", mend, stops)
    return Finding(subject, "installed")


def _home() -> Finding:
    home = state.home()
    if os.access(_nearest(home), os.W_OK):
        return Finding("clusters are kept in", str(home))
    mend = "Set KUBELAB_HOME to a directory that you may write to."
    return Finding("clusters are kept in", f"{home}, not writable", mend, BOTH)


def _nearest(path: Path) -> Path:
    """Return the path or its nearest parent that exists."""
    return path if path.exists() else _nearest(path.parent)


def _disk() -> Finding:
    free = shutil.disk_usage(_nearest(state.home())).free
    mend = "" if free >= ENOUGH_DISK else "Make room: `docker system df`, `du -sh ~/.cache`."
    return Finding("free disk", _gib(free), mend)


def _memory() -> Finding:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    mend = "" if memory >= ENOUGH_MEMORY else "Use the embedded engine, or kind with --nodes 1."
    return Finding("memory", _gib(memory), mend)


def _gib(size: float) -> str:
    return f"{size / GIB:.0f} GiB"


def _loopback() -> Finding:
    if port_is_free(0):
        return Finding("ports", "an API server can listen on 127.0.0.1")
    mend = "Let programs listen on 127.0.0.1: see your firewall or sandbox."
    return Finding("ports", "nothing can listen on 127.0.0.1", mend, BOTH)


def _container_engine() -> Iterator[Finding]:
    try:
        engine = containers.find()
    except ClusterError as error:
        yield Finding("container engine", error.problem, error.next_step, KIND)
        return
    answer = f"{engine.program} {engine.version} answers, with {_gib(engine.memory)} of memory"
    mend = "" if engine.memory >= ENOUGH_MEMORY else "Give its virtual machine 4 GiB or more."
    yield Finding("container engine", answer, mend)
    image = kind_tools.node_image()
    yield _cgroup(engine, image)
    yield _node_image(engine, image)


def _cgroup(engine: containers.ContainerEngine, image: str) -> Finding:
    try:
        kind_tools.check_cgroup(engine, image)
    except ClusterError as error:
        return Finding("cgroup", f"v{engine.cgroup}", error.next_step, KIND)
    return Finding("cgroup", f"v{engine.cgroup}")


def _node_image(engine: containers.ContainerEngine, image: str) -> Finding:
    if reason := kind_tools.why_image_missing(engine, image):
        mend = f"`{engine.program} pull {image}` where there is a network."
        return Finding("node image", reason, mend, KIND)
    return Finding("node image", f"{image.partition('@')[0]} is here or can be pulled")


def _inotify() -> Finding:
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if not limit.exists():
        return Finding("inotify", "not limited here")
    found = int(limit.read_text())
    mend = "" if found >= ENOUGH_INOTIFY else INOTIFY_MEND
    return Finding("inotify", f"{found} instances a user", mend)


def _kind() -> Finding:
    path, needed = shutil.which("kind"), kind_tools.kind_for(kind_tools.node_image())
    if path and needed and binaries.kind_version(Path(path)) < needed:
        image = kind_tools.node_image().partition("@")[0]
        found = f"{path} is too old for {image}, {pins.KIND.version} is downloaded when needed"
        return Finding("kind", found, f"Install kind {pins.KIND.version}.")
    return _program(pins.KIND, "version")


def _program(download: pins.Download, *arguments: str) -> Finding:
    """Look at kind or kubectl on PATH; where it is missing it will be downloaded."""
    path = shutil.which(download.program)
    if not path:
        return Finding(
            download.program, f"not on PATH, {download.version} is downloaded when needed"
        )
    answer = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
    first = (answer.stdout or answer.stderr).strip().partition("\n")[0]
    return Finding(download.program, f"{path}: {first}")
