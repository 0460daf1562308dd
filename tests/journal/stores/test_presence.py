"""A worker that closes counts as dead at once; one that cannot renew its lease counts as neither dead nor alive."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from layercode_app.exceptions import StoreError
from layercode_app.journal.stores import presence
from layercode_app.journal.stores.base import Signal
from layercode_app.journal.stores.presence import Lease, Presence

pytestmark = pytest.mark.anyio


@dataclass
class Row:
    """The lease of the worker, as the server stores it."""

    component: str = "row"
    exists: bool = False


class Slow(Presence[Row]):
    """A worker that renews its lease over one connection, and withdraws it over another one.

    The first connection is busy from the second renewal on; the other one is idle. As in the stores, a renewal that was
    sent arrives even if it is cancelled afterwards.
    """

    errors = (StoreError,)

    def __init__(self, *, fails: bool) -> None:
        super().__init__()
        self.sent, self.busy, self.fails = asyncio.Event(), asyncio.Event(), fails

    async def renew(self) -> None:
        await asyncio.shield(asyncio.ensure_future(self._arrive()))

    async def _arrive(self) -> None:
        if self._link.exists:
            self.sent.set()
            await self.busy.wait()
        if self.fails and self.sent.is_set():
            raise StoreError("lost")
        self._link.exists = True

    async def lease(self, owner: str) -> Lease:
        return "valid" if self._link.exists else "none"

    async def withdraw(self) -> None:
        self._link.exists = False

    async def send(self, owner: str, signal: Signal) -> None:
        self.receive(signal)

    async def empty_inbox(self) -> None:
        pass

    async def listen(self) -> None:
        self._subscribed.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("fails", [False, True])
async def test_a_renewal_in_flight_does_not_outlive_the_withdrawal(
    fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "BEAT_SECONDS", 0)
    worker, row = Slow(fails=fails), Row()
    await worker.start(row)
    await worker.sent.wait()
    asyncio.get_running_loop().call_later(0.05, worker.busy.set)
    await worker.stop()
    await asyncio.sleep(0.1)
    assert not row.exists


class ReadsOnly(Slow):
    """A worker whose database server stores only the first renewal of the worker's lease, and then answers only reads.

    Each lease that this worker reads has expired.
    """

    def __init__(self) -> None:
        super().__init__(fails=True)
        self.busy.set()

    async def lease(self, owner: str) -> Lease:
        return "expired"


async def test_leases_that_cannot_be_renewed_are_an_outage(monkeypatch: pytest.MonkeyPatch, warned: list[str]) -> None:
    monkeypatch.setattr(presence, "LEASE_SECONDS", 0.1)
    monkeypatch.setattr(presence, "BEAT_SECONDS", 0)
    worker = ReadsOnly()
    await worker.start(Row())
    while not any("is down" in line for line in warned):
        await asyncio.sleep(0.001)
    with pytest.raises(StoreError, match="renew their leases"):
        await asyncio.wait_for(worker.alive("other"), 100)
    await worker.stop()


class Shared(Slow):
    """A worker and its server. The server answers at once, and also stores the lease of another worker.

    Each read of that lease returns the next of `leases`, and "expired" when there are no more.
    """

    def __init__(self, *leases: Lease) -> None:
        super().__init__(fails=False)
        self.busy.set()
        self.leases = iter(leases)

    async def lease(self, owner: str) -> Lease:
        return next(self.leases, "expired")


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(presence, "BEAT_SECONDS", 0.1)


@pytest.mark.usefixtures("_short")
async def test_an_expired_lease_is_that_of_a_dead_worker() -> None:
    worker = Shared()
    await worker.start(Row())
    assert not await asyncio.wait_for(worker.alive("other"), 100)
    worker.leases = iter(["expired", "valid"])
    assert not await asyncio.wait_for(worker.alive("other"), 100)
    await worker.stop()


async def test_a_lease_that_was_ended_is_that_of_a_dead_worker_at_once() -> None:
    worker = Shared("none", "valid")
    await worker.start(Row())
    assert not await asyncio.wait_for(worker.alive("other"), 100)
    await worker.stop()


@pytest.mark.usefixtures("_short")
async def test_an_expired_lease_may_be_renewed_soon_after_a_worker_was_started() -> None:
    worker = Shared("expired", "expired", "valid")
    await worker.start(Row())
    assert await asyncio.wait_for(worker.alive("other"), 100)
    await worker.stop()


@pytest.mark.usefixtures("_short")
async def test_an_expired_lease_may_be_renewed_after_an_outage_that_raised_no_error() -> None:
    worker = Shared()
    await worker.start(Row())
    assert not await worker.alive("other")
    worker.sent.clear()
    worker.busy.clear()  # The server answers no renewal.
    await worker.sent.wait()
    await asyncio.sleep(presence.LEASE_SECONDS)
    # `alive` reads these results one after another. This worker renews its own lease after the second result, and the
    # other worker renews its lease only after the fourth.
    worker.leases = iter(["expired", "expired", "expired", "expired", "valid"])
    asyncio.get_running_loop().call_later(0.15, worker.busy.set)
    assert await asyncio.wait_for(worker.alive("other"), 100)
    await worker.stop()


class FullInbox(Shared):
    """A worker that asks its server for signals and never gets an answer."""

    renewals = 0

    async def renew(self) -> None:
        self.renewals += 1

    async def empty_inbox(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.usefixtures("_short")
async def test_a_lease_is_renewed_while_the_server_is_slow_to_answer_with_signals() -> None:
    worker = FullInbox()
    await worker.start(Row())
    async with asyncio.timeout(100):
        while worker.renewals < 5:
            await asyncio.sleep(0.01)
    await worker.stop()


class Laggard(Shared):
    """A worker whose server takes as long for a renewal as the time between two renewals."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self.ended: float | None = None

    async def renew(self) -> None:
        loop = asyncio.get_running_loop()
        if self.ended is not None:
            self.pauses.append(loop.time() - self.ended)
        await asyncio.sleep(presence.BEAT_SECONDS)
        self.ended = loop.time()


@pytest.mark.usefixtures("_short")
async def test_the_time_that_a_renewal_takes_does_not_delay_the_next_one() -> None:
    worker = Laggard()
    await worker.start(Row())
    async with asyncio.timeout(100):
        # The first pause is that between the start and the first renewal.
        while not any(pause < presence.BEAT_SECONDS / 2 for pause in worker.pauses[1:]) and len(worker.pauses) < 20:
            await asyncio.sleep(0.01)
    await worker.stop()
    assert min(worker.pauses[1:]) < presence.BEAT_SECONDS / 2
