"""What all controllers share: identity, informers, a work queue and a recorder.

A controller's handlers only put keys into the queue; `sync(key)` then looks at the present state of
the world, compares, acts, and writes status. It never trusts the event that woke it, so a missed or
doubled event does no harm, and whatever goes wrong is tried again by the queue.
"""

import asyncio
from abc import ABC, abstractmethod

from kubesim.apimachinery.objects import key
from kubesim.clientgo.client import Client
from kubesim.clientgo.events import EventRecorder
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clientgo.workqueue import WorkQueue
from kubesim.clock import Clock


class Controller(ABC):
    """A control loop over the keys of one resource.

    `name` is what its service account is called, and its Events unless there is a `component`.
    """

    name: str
    component = ""
    workers = 5

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock) -> None:
        self.client = client
        self.clock = clock
        self.queue = WorkQueue(clock, self.name)
        self.recorder = EventRecorder(client, clock, self.component or self.name)
        self.watch(informers)

    @abstractmethod
    def watch(self, informers: InformerFactory) -> None:
        """Take the caches that `sync` reads and add the handlers that fill the queue."""

    @abstractmethod
    async def sync(self, key: str) -> None:
        """Bring the world nearer to what the object of that key wants."""

    async def run(self) -> None:
        """Work until cancelled; the informers must have synced."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.recorder.run())
            tasks.create_task(self.queue.run(self.sync, self.workers))

    def enqueue(self, change: Change) -> None:
        """The handler of a controller's own resource: queue the object's key."""
        self.queue.add(key(change.object))
