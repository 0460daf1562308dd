"""The journal has the beginning of a turn, but no worker runs the turn.

The worker of the turn got an error from the store when the turn began. If the turn is delivered again, the worker that
receives the new delivery answers the turn.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from layercode_app import Message, Turn, VoiceAgent
from layercode_app.conversation import delivery
from layercode_app.conversation.admission import TurnHandler
from layercode_app.exceptions import StoreError
from layercode_app.journal.crashed_turn import give_up
from layercode_app.journal.record import Status, TurnRecord, clone
from layercode_app.journal.stores.base import Begun, Signal, Store
from layercode_app.settings.limits import Limits
from layercode_app.webhook import InterruptionContext

from .admitted import admit
from .conftest import Open
from .records import begin, turn

pytestmark = pytest.mark.anyio

ONE, TWO = (Message(session_id="s", conversation_id="c", turn_id=name, text=name) for name in ("one", "two"))


class Workers:
    """Several workers. Each begins its answers with its own number.

    When worker 0 begins its first turn, its store raises an error. The worker then looks for the turn in the journal
    and finds nothing. Only after that does the store write the beginning of the turn.
    """

    def __init__(self, *stores: Store) -> None:
        self.handlers = [TurnHandler(store) for store in stores]
        self.begun = asyncio.Event()
        first = stores[0]
        begin, get = first.begin, first.get

        async def too_late(record: TurnRecord, *, history_tokens: int) -> Begun:
            early = clone(record)

            async def look(conversation_id: str, turn_id: str) -> TurnRecord | None:
                found = await get(conversation_id, turn_id)
                first.get = get  # type: ignore[method-assign]
                await begin(early, history_tokens=history_tokens)
                self.begun.set()
                return found

            first.begin, first.get = begin, look  # type: ignore[method-assign]
            raise StoreError("away")

        first.begin = too_late  # type: ignore[method-assign]

    async def admit(self, worker: int, event: Message) -> str:
        voice = VoiceAgent("clerk", history=True)

        @voice.on_message
        async def answer(turn: Turn) -> str:
            return f"{worker} knows {len(turn.past)}"

        return await asyncio.wait_for(admit(self.handlers[worker], voice, event), 100)


@pytest.fixture
async def workers(worker: Open) -> Workers:
    workers = Workers(*[await worker() for _ in range(3)])
    assert await workers.admit(0, ONE) == Limits().apology
    await asyncio.wait_for(workers.begun.wait(), 100)
    return workers


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "DISPLACE_SECONDS", 100)


async def test_it_is_answered_wherever_it_is_delivered_again(workers: Workers) -> None:
    heard = await asyncio.gather(*[workers.admit(worker, ONE) for worker in (1, 2)])
    assert heard[0] == heard[1]
    assert heard[0] in ("1 knows 0", "2 knows 0")
    record = await workers.handlers[0].store.get("c", "one")
    assert record is not None
    assert (record.status, record.error, record.attempt) == (Status.COMPLETE, None, 2)
    assert await workers.admit(0, ONE) == heard[0]


async def test_only_one_worker_claims_it(worker: Open) -> None:
    owner, first, second = [await worker() for _ in range(3)]
    await begin(owner, turn("c", "one"))
    record = await owner.update("c", "one", give_up)
    assert record is not None
    assert not await second.held_elsewhere(record)
    assert await first.claim(record)
    claimed = await second.get("c", "one")
    assert claimed is not None
    assert await second.held_elsewhere(claimed)


@pytest.mark.usefixtures("_patient")
async def test_the_next_turn_ends_it_at_once(workers: Workers) -> None:
    began = time.monotonic()
    assert await workers.admit(1, TWO) == "1 knows 1"
    assert time.monotonic() - began < 50
    record = await workers.handlers[1].store.get("c", "one")
    assert record is not None
    assert (record.status, record.error) == (Status.FAILED, "CrashedTurnError")


async def test_it_waits_for_its_worker_while_that_worker_cannot_give_it_up(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    async def away(*_: Any) -> Any:
        raise StoreError("away")

    monkeypatch.setattr(delivery, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(workers.handlers[0].store, "get", away)
    hearing = asyncio.create_task(workers.admit(1, ONE))
    async with asyncio.timeout(100):
        while not any("cannot be ended or handed to another worker" in line for line in warned):
            await asyncio.sleep(0.01)
    assert not hearing.done()
    await workers.handlers[0].store.close()
    assert await hearing == "1 knows 0"


async def test_it_is_answered_by_a_worker_that_followed_it_when_its_own_worker_failed(worker: Open) -> None:
    stores = [await worker(), await worker()]
    failing, following = [TurnHandler(store) for store in stores]
    follows, update = asyncio.Event(), stores[0].update
    voice = VoiceAgent("clerk", history=True)

    @voice.on_message
    async def answer(turn: Turn) -> str:
        return f"answer to {turn.text}"

    async def away(*_: Any) -> Any:
        await follows.wait()
        stores[0].update = update  # type: ignore[method-assign]
        raise StoreError("away")

    def obey(signal: Signal) -> None:
        failing._obey(signal)
        follows.set()

    stores[0].on_signal(obey)
    await admit(failing, voice, ONE)
    stores[0].update = away  # type: ignore[method-assign, assignment]
    heard = InterruptionContext(previous_turn_interrupted=True, text_heard="answer", assistant_turn_id="one")
    two = TWO.model_copy(update={"interruption_context": heard})
    async with asyncio.timeout(100):
        failed = asyncio.create_task(admit(failing, voice, two))
        while await stores[1].get("c", "two") is None:
            await asyncio.sleep(0.01)
        followed = await admit(following, voice, two)
        assert (await failed, followed) == (Limits().apology, "answer to two")
