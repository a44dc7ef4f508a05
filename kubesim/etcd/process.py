"""The etcd process of a control plane node: what it tells its log."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from datetime import datetime

from kubesim.clock import Clock
from kubesim.etcd.raft import Raft
from kubesim.etcd.replicated import ReplicatedEtcd
from kubesim.etcd.store import Etcd


def member_id(name: str) -> str:
    """Return the identity of a member, as etcd writes it: sixteen hexadecimal digits."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def members_of(store: Etcd, host: str) -> list[str]:
    """Return the names of a store's members; the only one is that of the host."""
    return [*store.group.members] if isinstance(store, ReplicatedEtcd) else [host]


def leader_of(store: Etcd, host: str) -> tuple[str | None, int]:
    """Return the name of the member that leads, and its term."""
    if not isinstance(store, ReplicatedEtcd):
        return host, 2
    leader: Raft | None = store.group.leader()
    return (leader.name, leader.term) if leader else (None, 0)


async def run(store: Etcd, name: str, ip: str, write: Callable[[str], None], clock: Clock) -> None:
    """Report what happens to a member until cancelled."""

    def say(caller: str, message: str, **fields: str) -> None:
        write(_line(clock.now(), caller, message, fields))

    me = member_id(name)
    peers = f"https://{ip}:2380"
    say("embed/etcd.go:138", "configuring peer listeners", listen_peer_urls=peers)
    say("etcdserver/raft.go:541", "restarting local member", local_member_id=me)
    heard: tuple[str | None, int] = (None, 0)
    while True:
        leader, term = leader_of(store, name)
        if (leader, term) != heard and leader:
            role = "leader" if leader == name else "follower"
            say("raft/raft.go", f"{me} became {role} at term {term}")
            found = member_id(leader)
            say("raft/node.go", f"raft.node: {me} elected leader {found} at term {term}")
        if not heard[0] and leader:
            say("embed/serve.go:275", "serving client traffic securely", address=f"{ip}:2379")
        heard = leader, term
        if isinstance(store, ReplicatedEtcd):
            await store.group.leadership_changed()
        else:
            await asyncio.get_running_loop().create_future()


def _line(now: datetime, caller: str, message: str, fields: dict[str, str]) -> str:
    head = {"level": "info", "ts": f"{now:%Y-%m-%dT%H:%M:%S.%f}Z", "caller": caller}
    named = {key.replace("_", "-"): value for key, value in fields.items()}
    return json.dumps({**head, "msg": message, **named}, separators=(",", ":")) + "\n"
