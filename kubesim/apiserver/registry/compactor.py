"""Forgetting: every five minutes the store gives up the states of more than five minutes ago.

As k8s.io/apiserver/pkg/storage/etcd3/compact.go does. A client that comes back with an older
resourceVersion is told 410 and lists again.
"""

from kubesim.clock import Clock
from kubesim.etcd.store import CompactedError, Etcd

INTERVAL_SECONDS = 300.0


async def run(store: Etcd, clock: Clock) -> None:
    """Compact the store until cancelled."""
    while True:
        revision = store.revision
        await clock.sleep(INTERVAL_SECONDS)
        if revision > store.compacted:
            try:
                store.compact(revision)
            except CompactedError:
                continue  # by size meanwhile, or in another way
