"""The programs kind and kubectl: from PATH, else downloaded once, verified, into the cache."""

import hashlib
import http.client
import os
import platform
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from kubelab.clusters import state
from kubelab.clusters.errors import ClusterError
from kubelab.clusters.pins import KIND, KUBECTL, Download
from kubelab.clusters.progress import say

DOWNLOAD_TIMEOUT = 60
MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def kubectl() -> Path:
    """Return the absolute path of a kubectl; its version may differ from the cluster's."""
    return _on_path("kubectl") or downloaded(KUBECTL)


def kind(at_least: tuple[int, int] | None = None) -> Path:
    """Return the absolute path of a kind, of release `at_least` if that is given."""
    found = _on_path("kind")
    if found and (at_least is None or kind_version(found) >= at_least):
        return found
    return downloaded(KIND)


def kind_version(path: Path) -> tuple[int, int]:
    """Return (major, minor) of a kind program; (0, 0) where it does not say."""
    answer = subprocess.run([path, "version"], capture_output=True, text=True, check=False)
    version = re.search(r"v(\d+)\.(\d+)", answer.stdout)
    return (int(version[1]), int(version[2])) if version else (0, 0)


def _on_path(program: str) -> Path | None:
    found = shutil.which(program)
    return Path(found).absolute() if found else None


def downloaded(download: Download) -> Path:
    """Return the path of the pinned program in the cache, downloading it if it is not there."""
    target = state.cache() / "bin" / f"{download.program}-{download.version}"
    if not target.exists():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _fetch_verified(download, target)
    return target


def _fetch_verified(download: Download, target: Path) -> None:
    system, machine = _platform()
    url = _address(download, system, machine)
    say(f"downloading {download.program} {download.version} from {url}")
    try:
        content = _get(url)
        expected = _expected_digest(download, url, (system, machine))
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise ClusterError(
            f"{download.program} is not on PATH and cannot be downloaded from {url}: {error}",
            f"Install {download.program} {download.version} yourself and put it on PATH, "
            "or use the embedded engine: `kubelab up --engine embedded`.",
        ) from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise ClusterError(
            f"What {url} sent is not {download.program} {download.version}: its SHA-256 is "
            f"{digest}, it should be {expected}. It was thrown away.",
            "Try again; if it stays so, something between you and the release alters downloads.",
        )
    temporary = target.with_name(f"{target.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.chmod(0o755)
    temporary.replace(target)


def _platform() -> tuple[str, str]:
    machine = MACHINES.get(platform.machine().lower())
    if not machine:
        raise ClusterError(
            f"kind is not published for {platform.machine()} processors.",
            "Use the embedded engine: `kubelab up --engine embedded`.",
        )
    return platform.system().lower(), machine


def _address(download: Download, system: str, machine: str) -> str:
    """Return the URL; KIND_DOWNLOAD_URL or KUBECTL_DOWNLOAD_URL name a mirror's, if set."""
    template = os.environ.get(f"{download.program.upper()}_DOWNLOAD_URL") or download.url
    return template.format(version=download.version, system=system, machine=machine)


def _expected_digest(download: Download, url: str, platform_: tuple[str, str]) -> str:
    if platform_ == ("linux", "amd64"):
        return download.linux_amd64
    return _get(url + download.checksum_suffix).decode().split()[0]


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT) as answer:  # noqa: S310 - the pin's
        content: bytes = answer.read()
        return content
