"""A worker's presence on a database server that many hosts share: the worker's lease, and the signals sent to it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeAlias, TypeVar
from uuid import uuid4

from loguru import logger

from ...exceptions import StoreError
from .base import Signal

LEASE_SECONDS = 3.0
"""Time to live of a worker's lease: a worker that stops renewing it counts as dead after this time."""
KEPT_SECONDS = 3600
"""An expired lease is remembered for this time. A lease that a worker has ended is forgotten at once."""
BEAT_SECONDS = 1.0
SILENCE_SECONDS = 2.0
"""If no message arrives for this time, ping the server. If no reply arrives for this time either, subscribe again."""
SUBSCRIBE_SECONDS = 2.0
"""Maximum wait for the subscription when the store opens."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0

Lease: TypeAlias = Literal["valid", "expired", "none"]


class _Link(Protocol):
    component: str


L = TypeVar("L", bound=_Link)


class Presence(ABC, Generic[L]):
    """Renews this worker's lease and receives signals for this worker.

    These tasks resume by themselves after an outage.
    """

    errors: ClassVar[tuple[type[Exception], ...]]
    """The errors that an outage raises; the tasks restart after them."""

    def __init__(self) -> None:
        self.receive: Callable[[Signal], None] = lambda signal: None
        self._tasks: list[asyncio.Task[None]] = []
        self._renewal: asyncio.Future[None] | None = None

    @abstractmethod
    async def renew(self) -> None:
        """Set or extend this worker's lease to LEASE_SECONDS from now."""

    @abstractmethod
    async def lease(self, owner: str) -> Lease:
        """Return whether a worker's lease is valid or expired; "none" if the worker has ended it, or never had one."""

    @abstractmethod
    async def withdraw(self) -> None:
        """End this worker's lease."""

    @abstractmethod
    async def send(self, owner: str, signal: Signal) -> None:
        """Send a signal to another worker. If that worker is not subscribed now, it gets the signal later."""

    @abstractmethod
    async def empty_inbox(self) -> None:
        """Receive the signals that were sent while this worker was not subscribed."""

    @abstractmethod
    async def listen(self) -> None:
        """Receive signals until the connection breaks; set `_subscribed` as soon as signals can arrive."""

    async def start(self, link: L) -> None:
        """Choose a new id for this worker, set its lease and subscribe to its signals. Raises StoreError."""
        self.owner = uuid4().hex
        self._link = link
        self._down = False
        self._unsure_until = float("-inf")
        self._renewed_at = asyncio.get_running_loop().time()
        await self._beat()
        self._new_until = self._renewed_at + LEASE_SECONDS
        self._subscribed = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._persist(self._beat_on), name="journal-lease"),
            asyncio.create_task(self._persist(self._look_in_inbox), name="journal-inbox"),
            asyncio.create_task(self._persist(self.listen), name="journal-signals"),
        ]
        with suppress(TimeoutError):
            await asyncio.wait_for(self._subscribed.wait(), SUBSCRIBE_SECONDS)

    async def stop(self) -> None:
        """End the lease: from now on other workers regard this one as dead."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._renewal is not None:
            # Wait for the renewal in progress. On another connection, it could arrive after the withdrawal and undo it:
            # a dead worker would seem alive.
            await asyncio.gather(self._renewal, return_exceptions=True)
        with suppress(StoreError):
            await self.withdraw()

    async def alive(self, owner: str) -> bool:
        """Return whether a worker's lease is still valid.

        During an outage, and for LEASE_SECONDS after it, an expired lease does not show that its worker is dead: that
        worker could not renew it. So this method waits until the lease is renewed or that time is over. It also waits
        in the first LEASE_SECONDS of this worker, because an outage may have ended just before. Raises StoreError if
        leases cannot be renewed for LEASE_SECONDS, for example because the server is full and answers only reads.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LEASE_SECONDS
        while True:
            # Compute `sure` and `new` before the lease is read, because an outage may end while the server answers.
            sure, new = self._is_sure(), loop.time() < self._new_until
            lease = await self.lease(owner)
            if lease == "valid":
                return True
            if sure and not (new and lease == "expired"):
                return False
            if self._down and loop.time() >= deadline:
                raise StoreError(
                    f"The journal ({self._link.component}) failed: workers cannot renew their leases. Is the server full?"
                )
            await asyncio.sleep(0.1)

    def _is_sure(self) -> bool:
        """Return whether other workers were able to renew their leases in time.

        This is assumed if this worker has renewed its own lease in time, and if there is no outage now and there was
        none within the last LEASE_SECONDS.
        """
        now = asyncio.get_running_loop().time()
        return not self._down and now >= self._unsure_until and now - self._renewed_at < LEASE_SECONDS

    # --- tasks that are restarted after errors

    async def _persist(self, work: Callable[[], Any]) -> None:
        pause = FIRST_PAUSE
        while True:
            started = asyncio.get_running_loop().time()
            try:
                await work()
            except self.errors as error:
                if not self._down:
                    logger.warning("The journal ({}) is down: {}", self._link.component, error)
                self._down = True
            lasted = asyncio.get_running_loop().time() - started
            pause = FIRST_PAUSE if lasted > LEASE_SECONDS else min(pause * 2, LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _beat_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + BEAT_SECONDS
            await self._beat()
            # Count the time that a slow server took: otherwise the lease could expire between two renewals.
            await asyncio.sleep(max(due - loop.time(), 0.0))

    async def _look_in_inbox(self) -> None:
        while True:
            await self.empty_inbox()
            await asyncio.sleep(BEAT_SECONDS)

    async def _beat(self) -> None:
        self._renewal = asyncio.ensure_future(self.renew())
        await asyncio.shield(self._renewal)
        now = asyncio.get_running_loop().time()
        if self._down or now - self._renewed_at >= LEASE_SECONDS:
            # This worker's own lease may have expired, and perhaps the leases of other workers too.
            self._unsure_until = now + LEASE_SECONDS
        self._renewed_at = now
        if self._down:
            self._down = False
            logger.info("The journal ({}) is available again.", self._link.component)
