"""Names to addresses, the way a C library in a container does it: hosts file, then DNS."""

from dataclasses import dataclass

from kubesim.runtime.process import Process


@dataclass
class ResolverConfig:
    """What /etc/resolv.conf says."""

    servers: list[str]
    search: list[str]
    ndots: int


def resolver_config(process: Process) -> ResolverConfig:
    """Read the container's /etc/resolv.conf."""
    config = ResolverConfig([], [], 1)
    for line in _lines(process, "/etc/resolv.conf"):
        key, *values = line.split()
        if key == "nameserver":
            config.servers += values[:1]
        elif key == "search":
            config.search = values
        elif key == "options":
            dots = [value for value in values if value.startswith("ndots:")]
            config.ndots = int(dots[-1].partition(":")[2]) if dots else config.ndots
    return config


def _lines(process: Process, path: str) -> list[str]:
    if not process.files.exists(path):
        return []
    text = process.files.read(path).decode(errors="replace")
    stripped = [line.partition("#")[0].strip() for line in text.splitlines()]
    return [line for line in stripped if line]


def candidates(name: str, config: ResolverConfig) -> list[str]:
    """Return the full names to ask for, in order: search domains first for short names."""
    if name.endswith("."):
        return [name.rstrip(".")]
    with_search = [f"{name}.{domain}" for domain in config.search]
    if name.count(".") >= config.ndots:
        return [name, *with_search]
    return [*with_search, name]


def resolve(process: Process, name: str) -> list[str]:
    """Return the addresses of `name`; LookupError if it has none."""
    if name.replace(".", "").isdigit() and name.count(".") == 3:
        return [name]
    for line in _lines(process, "/etc/hosts"):
        address, *names = line.split()
        if name in names and ":" not in address:
            return [address]
    config = resolver_config(process)
    for server in config.servers:
        for candidate in candidates(name, config):
            try:
                found = process.network.query(server, candidate, "A")
            except LookupError:
                continue
            if found:
                return found
    raise LookupError(name)
