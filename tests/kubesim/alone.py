"""Runs a cluster where there is no operating system to speak of; started by test_core_alone.py.

There are no threads, sockets, TLS, processes or databases here, and no files but the packages'
own. The event loop has no selector: it waits for the next timer, and nothing else can happen.
"""

import asyncio
import builtins
import sys
import sysconfig
import time
from pathlib import Path

# What asyncio imports of these is there, but nobody else may ask for it.
FORBIDDEN = frozenset(
    {
        *("_ssl", "_yaml", "aiohttp", "concurrent.futures", "cryptography", "ctypes", "fcntl"),
        *("http.client", "http.server", "mmap", "multiprocessing", "pty", "resource", "select"),
        *("selectors", "shutil", "signal", "socket", "socketserver", "sqlite3", "ssl"),
        *("subprocess", "tempfile", "termios", "threading", "urllib.request"),
    }
)
OS_EVENTS = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.mkdir", "os.remove")
SYSTEM_MODULES = ("_thread", "ctypes", "socket", "sqlite3", "subprocess")
READABLE = tuple(
    str(Path(each).resolve())
    for each in (Path(__file__).parents[2], *sysconfig.get_paths().values(), sys.base_prefix)
)


def guard_imports():
    real = builtins.__import__

    def guarded(name, globals=None, locals=None, fromlist=(), level=0):  # noqa: A002
        importer = (globals or {}).get("__name__", "")
        ours = importer.partition(".")[0] == "kubesim"
        for asked in (name, *(f"{name}.{each}" for each in fromlist or ())):
            if ours and level == 0 and {asked, asked.partition(".")[0]} & FORBIDDEN:
                raise AssertionError(f"{importer} imports {asked}")
        if name.partition(".")[0] in ("_yaml", "aiohttp", "cryptography", "multiprocessing"):
            raise ImportError(name)
        return real(name, globals, locals, fromlist, level)

    builtins.__import__ = guarded


def guard_system(event, arguments):
    """An audit hook: whatever reaches the operating system passes here."""
    if event == "open":
        path, mode, _ = arguments
        reading = mode is None or not set(str(mode)) & set("wax+")
        if not reading or not str(path).startswith(READABLE):
            raise AssertionError(f"open {path} {mode}")
    elif event in OS_EVENTS or event.partition(".")[0] in SYSTEM_MODULES:
        raise AssertionError(f"{event} {arguments}")


class Loop(asyncio.BaseEventLoop):
    """An event loop that can do nothing but run what is ready and wait for the next timer."""

    def __init__(self):
        super().__init__()
        self._selector = self

    def select(self, timeout):
        if timeout is None:
            raise AssertionError("nothing will ever happen again")
        time.sleep(timeout)
        return []

    def _process_events(self, _):
        pass

    def _write_to_self(self):
        pass


async def read_log(cluster, pod):
    from kubesim.apiserver.request import Request, UserInfo

    admin = UserInfo("admin", groups=("system:masters",))
    path = f"/api/v1/namespaces/default/pods/{pod}/log"
    response = await cluster.server.handle(Request("GET", path, user=admin))
    return b"".join([chunk async for chunk in response.body]).decode()


async def live():
    from kubesim.clock import Clock
    from kubesim.cluster import Cluster

    cluster = Cluster(clock=Clock(speed=0))
    await cluster.start()
    user = cluster.client("admin", ("system:masters", "system:authenticated"))
    labels = {"app": "web"}
    containers = [{"name": "web", "image": "nginx:1.27"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "web", "namespace": "default"}
    await user.create(
        "deployments.apps",
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
    )
    await cluster.clock.advance(30)
    deployment = await user.get("deployments.apps", "web", "default")
    assert deployment["status"]["readyReplicas"] == 3, deployment["status"]
    pods = await user.list("pods", "default", label_selector="app=web")
    log = await read_log(cluster, pods["items"][0]["metadata"]["name"])
    assert "start worker process" in log, log
    await cluster.stop()
    print("ready")


if __name__ == "__main__":
    guard_imports()
    loop = Loop()
    sys.addaudithook(guard_system)
    if sys.argv[1:]:
        exec(sys.argv[1], {"__name__": "kubesim.intruder"})
    loop.run_until_complete(live())
