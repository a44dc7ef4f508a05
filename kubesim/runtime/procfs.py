"""/proc: what the kernel tells of a container's processes and machine, made when it is read."""

import errno
from collections.abc import Callable, Iterator, MutableMapping
from datetime import datetime

from kubesim.runtime.capabilities import status_lines
from kubesim.runtime.filesystem import Directory, File, FileSystem, Link, Node, failure
from kubesim.runtime.process import Process, World

MEMORY_KB = 8 * 1024**2
USED_KB = 1_500_000
CACHED_KB = 2_000_000
CPUS = 4
LOAD = "0.10 0.08 0.05"
READABLE, LISTABLE = 0o444, 0o555
Content = Callable[[], str]


class Entries(MutableMapping[str, Node]):
    """The names in a directory below /proc; nothing can be added or removed."""

    def __init__(
        self, names: Callable[[], Iterator[str]], node: Callable[[str], Node | None]
    ) -> None:
        self._names = names
        self._node = node

    def __getitem__(self, name: str) -> Node:
        node = self._node(name)
        if node is None:
            raise KeyError(name)
        return node

    def __iter__(self) -> Iterator[str]:
        return self._names()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __setitem__(self, name: str, node: Node) -> None:
        raise failure(errno.EACCES, name)

    def __delitem__(self, name: str) -> None:
        raise failure(errno.EPERM, name)


def proc(world: World) -> Directory:
    """Return the directory /proc of a container."""
    now = world.clock.now
    machine: dict[str, Content] = {
        "cpuinfo": lambda: "".join(_processor(number) for number in range(CPUS)),
        "loadavg": lambda: f"{LOAD} 1/{len(world.processes.by_pid)} {world.processes.last_pid}\n",
        "meminfo": _meminfo,
        "mounts": lambda: mounts(world.files),
        "uptime": lambda: f"{world.clock.monotonic():.2f} {world.clock.monotonic() * CPUS:.2f}\n",
        "version": lambda: "Linux version 6.12.0-kubesim (kubesim@localhost)\n",
    }

    def names() -> Iterator[str]:
        yield from map(str, sorted(world.processes.by_pid))
        yield from sorted([*machine, "self"])

    def node(name: str) -> Node | None:
        if name in machine:
            return _file(machine[name], now())
        process = world.processes.by_pid.get(int(name)) if name.isdigit() else None
        return _process_directory(process, now()) if process else None

    return _directory(Entries(names, node), now())


def _directory(entries: Entries, now: datetime) -> Directory:
    return Directory(LISTABLE, now, entries)


def _file(content: Content, now: datetime) -> File:
    return File(READABLE, now, bytearray(content().encode(errors="surrogateescape")))


def _process_directory(process: Process, now: datetime) -> Directory:
    files: dict[str, Content] = {
        "cmdline": lambda: "".join(f"{word}\0" for word in process.argv),
        "comm": lambda: f"{process.name}\n",
        "environ": lambda: "".join(
            f"{key}={value}\0" for key, value in process.environment.items()
        ),
        "mounts": lambda: mounts(process.files),
        "stat": lambda: f"{process.pid} ({process.name}) S {process.parent} " + "0 " * 47 + "0\n",
        "status": lambda: _status(process),
    }

    def node(name: str) -> Node | None:
        if name == "cwd":
            return Link(0o777, now, process.directory)
        if name == "fd":
            return _directory(Entries(lambda: map(str, sorted(process.descriptors)), _nothing), now)
        return _file(files[name], now) if name in files else None

    return _directory(Entries(lambda: iter(sorted([*files, "cwd", "fd"])), node), now)


def _nothing(_name: str) -> None:
    """Descriptors are opened by the process itself."""


def _status(process: Process) -> str:
    who = process.world.credentials
    facts = {
        "Name": process.name,
        "Umask": "0022",
        "State": "S (sleeping)",
        "Tgid": process.pid,
        "Pid": process.pid,
        "PPid": process.parent,
        "Uid": "\t".join([str(who.uid)] * 4),
        "Gid": "\t".join([str(who.gid)] * 4),
        "Groups": " ".join(map(str, sorted({who.gid, *who.groups}))),
        "VmSize": "    4400 kB",
        "VmRSS": "     812 kB",
        "Threads": 1,
        **status_lines(who.uid, who.capabilities),
    }
    return "".join(f"{name}:\t{value}\n" for name, value in facts.items())


def _processor(number: int) -> str:
    return f"processor\t: {number}\nmodel name\t: simulated\ncpu cores\t: {CPUS}\n\n"


def _meminfo() -> str:
    facts = {
        "MemTotal": MEMORY_KB,
        "MemFree": MEMORY_KB - USED_KB - CACHED_KB,
        "MemAvailable": MEMORY_KB - USED_KB,
        "Cached": CACHED_KB,
        "SwapTotal": 0,
        "SwapFree": 0,
    }
    return "".join(f"{name + ':':<15}{value:>9} kB\n" for name, value in facts.items())


def mounts(files: FileSystem) -> str:
    """Return what /proc/mounts shows of a container's file system."""
    lines = [
        "overlay / overlay rw,relatime 0 0",
        "proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0",
    ]
    lines.append("tmpfs /dev tmpfs rw,nosuid,size=65536k,mode=755 0 0")
    for place, mount in sorted(files.mounts.items()):
        if place != "/proc":
            access = "ro" if mount.read_only else "rw"
            lines.append(f"/dev/vda1 {place} ext4 {access},relatime 0 0")
    return "".join(line + "\n" for line in lines)
