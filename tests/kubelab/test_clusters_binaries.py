"""kind and kubectl: from PATH, else downloaded once and only if the checksum is right."""

import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kubelab.clusters import ClusterError, binaries, state

PROGRAM = b"#!/bin/sh\necho kind v0.33.0 go1.26\n"


class Release:
    """A server of releases: what it offers by path, and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        release = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                release.asked.append(self.path)
                content = release.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def release(own_home, monkeypatch, tmp_path) -> Iterator[Release]:
    """A release server that KIND_DOWNLOAD_URL names, and a PATH without kind."""
    served = Release()
    thread = threading.Thread(target=served.server.serve_forever)
    thread.start()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KIND_DOWNLOAD_URL", served.url + "/{version}/kind-{system}-{machine}")
    yield served
    served.server.shutdown()
    thread.join()
    served.server.server_close()


@pytest.fixture
def on_arm(monkeypatch) -> str:
    """The path of kind's release on a machine whose checksum is the one published beside it."""
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    return "/v0.33.0/kind-darwin-arm64"


def cached() -> list[str]:
    return [path.name for path in state.cache().rglob("*") if path.is_file()]


def test_a_program_on_path_is_taken_by_its_absolute_path(own_home, monkeypatch, tmp_path):
    program = tmp_path / "kubectl"
    program.write_bytes(PROGRAM)
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ".")
    assert binaries.kubectl() == program


def test_kind_is_downloaded_once(release, on_arm):
    digest = hashlib.sha256(PROGRAM).hexdigest()
    release.files = {on_arm: PROGRAM, f"{on_arm}.sha256sum": f"{digest}  kind\n".encode()}
    first = binaries.kind()
    assert first.read_bytes() == PROGRAM
    assert os.access(first, os.X_OK)
    assert binaries.kind() == first
    assert release.asked == [on_arm, f"{on_arm}.sha256sum"]


def test_what_does_not_match_the_published_checksum_is_thrown_away(release, on_arm):
    release.files = {on_arm: PROGRAM, f"{on_arm}.sha256sum": b"0" * 64 + b"  kind\n"}
    with pytest.raises(ClusterError, match="It was thrown away"):
        binaries.kind()
    assert cached() == []


def test_on_linux_amd64_the_pinned_checksum_counts_not_the_published_one(release, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    digest = hashlib.sha256(PROGRAM).hexdigest()
    path = "/v0.33.0/kind-linux-amd64"
    release.files = {path: PROGRAM, f"{path}.sha256sum": digest.encode()}
    with pytest.raises(ClusterError, match="it should be aee615156142"):
        binaries.kind()
    assert cached() == []


def test_a_release_that_cannot_be_had_says_what_to_install(release, on_arm):
    with pytest.raises(ClusterError, match="cannot be downloaded") as refused:
        binaries.kind()
    assert "Install kind v0.33.0 yourself" in refused.value.next_step
    assert cached() == []


def test_a_server_that_is_not_there_says_what_to_install(release, on_arm, monkeypatch):
    monkeypatch.setenv("KIND_DOWNLOAD_URL", "http://127.0.0.1:1/kind")
    with pytest.raises(ClusterError, match="cannot be downloaded"):
        binaries.kind()


def test_a_kind_too_old_for_the_image_is_passed_over(release, on_arm, tmp_path):
    """kind before 0.32 writes a kubeadm configuration that Kubernetes 1.37 refuses."""
    old = tmp_path / "kind"
    old.write_text("#!/bin/sh\necho kind v0.27.0 go1.24.4 linux/amd64\n")
    old.chmod(0o755)
    digest = hashlib.sha256(PROGRAM).hexdigest()
    release.files = {on_arm: PROGRAM, f"{on_arm}.sha256sum": digest.encode()}
    assert binaries.kind(at_least=(0, 27)) == old
    assert Path(state.cache()) in binaries.kind(at_least=(0, 32)).parents


def test_a_processor_that_kind_is_not_published_for(release, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(ClusterError, match="not published for riscv64"):
        binaries.kind()
