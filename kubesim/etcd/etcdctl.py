"""etcdctl, as far as one looks into a cluster's etcd with it: get, member list, endpoint.

https://github.com/etcd-io/etcd/tree/main/etcdctl. Values are kept as JSON here, where the real API
server keeps them as protobuf; keys are the same.
"""

import getopt
from collections.abc import Iterable, Sequence

from kubesim.etcd.process import leader_of, member_id, members_of
from kubesim.etcd.record import Record
from kubesim.etcd.store import Etcd
from kubesim.runtime.process import Process, Program

FLAGS = ("cacert=", "cert=", "key=", "endpoints=", "write-out=", "prefix", "keys-only", "limit=")
SWITCHES = ("print-value-only", "count-only", "cluster", "from-key")
VERSION = "3.6.10"
USAGE = "etcdctl - A simple command line client for etcd3.\n\nCOMMANDS simulated here:\n"
COMMANDS = ("get", "member list", "endpoint health", "endpoint status", "version")


def etcdctl(store: Etcd) -> Program:
    """Return the program that asks a store."""

    async def run(process: Process) -> int:
        try:
            pairs, words = getopt.gnu_getopt(process.argv[1:], "w:", [*FLAGS, *SWITCHES])
        except getopt.GetoptError as error:
            await process.write(f"Error: unknown flag: --{error.opt}\n", 2)
            return 1
        options = {name.lstrip("-"): value for name, value in pairs}
        table = options.get("w", options.get("write-out")) == "table"
        host = process.network.node
        match words:
            case ["get", key]:
                await process.print(*_get(store, key, options))
            case ["member", "list"]:
                await process.print(*_members(store, host, table))
            case ["endpoint", "health"]:
                return await _health(process, store)
            case ["endpoint", "status"]:
                await process.print(*_status(store, host, table))
            case ["version"]:
                await process.print(f"etcdctl version: {VERSION}", "API version: 3.6")
            case _:
                lines = "".join(f"\t{command}\n" for command in COMMANDS)
                await process.write(USAGE + lines, 2)
                return 0 if not words else 1
        return 0

    return run


def _get(store: Etcd, key: str, options: dict[str, str]) -> Iterable[str]:
    """Keys and values, each on its line, as etcdctl prints them."""
    if "prefix" in options:
        found = store.range(key, limit=int(options.get("limit") or 0)).records
    else:
        found = [record for record in [store.get(key)] if record]
    if "count-only" in options:
        return ["", str(len(found))]
    return [line for record in found for line in _entry(record, options)]


def _entry(record: Record, options: dict[str, str]) -> Iterable[str]:
    value = (record.value or b"").decode(errors="replace")
    if "keys-only" in options:
        return [record.key, ""]
    return [value] if "print-value-only" in options else [record.key, value]


def _members(store: Etcd, host: str, table: bool) -> Iterable[str]:
    rows = [(member_id(name), "started", name, "false") for name in sorted(members_of(store, host))]
    if not table:
        return [", ".join(row) for row in rows]
    return _table(("ID", "STATUS", "NAME", "IS LEARNER"), rows)


async def _health(process: Process, store: Etcd) -> int:
    if store.healthy:
        await process.print("127.0.0.1:2379 is healthy: successfully committed proposal")
        return 0
    await process.write("127.0.0.1:2379 is unhealthy: failed to commit proposal\n", 2)
    await process.write("Error: unhealthy cluster\n", 2)
    return 1


def _status(store: Etcd, host: str, table: bool) -> Iterable[str]:
    leader, term = leader_of(store, host)
    leads = str(leader == host).lower()
    place = ("127.0.0.1:2379", member_id(host), VERSION, leads, "false", str(term))
    row = (*place, str(store.revision), str(store.revision))
    if not table:
        return [", ".join(row)]
    titles = ("ENDPOINT", "ID", "VERSION", "IS LEADER", "IS LEARNER", "RAFT TERM")
    return _table((*titles, "RAFT INDEX", "RAFT APPLIED INDEX"), [row])


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    border = "+" + "+".join("-" * (width + 2) for width in widths) + "+"

    def line(cells: tuple[str, ...]) -> str:
        padded = (cell.center(width) for cell, width in zip(cells, widths, strict=True))
        return "| " + " | ".join(padded) + " |"

    return [border, line(titles), border, *map(line, rows), border]
