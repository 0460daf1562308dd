"""When a turn displaces a turn of another worker, the model of the new turn is told which tools had run."""

from __future__ import annotations

import asyncio

import pytest

from layercode_app import Message, Turn, VoiceAgent
from layercode_app.conversation import delivery
from layercode_app.conversation.admission import TurnHandler
from layercode_app.journal.record import Status, ToolCall, TurnRecord
from layercode_app.journal.stores.base import Store

from .admitted import admit
from .conftest import Open
from .records import begin, turn

pytestmark = pytest.mark.anyio

CAKE = "order({'item': 'cake'}) -> ordered cake"
TART = "order({'item': 'tart'}) -> result unknown, it may have taken effect"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "DISPLACE_SECONDS", 0.3)


def reader() -> VoiceAgent:
    """Return an agent without a model. It answers with the text of the history that a model would get."""
    voice = VoiceAgent("reader", history=True)

    @voice.on_message
    async def read(turn: Turn) -> str:
        return " ".join(str(getattr(part, "content", "")) for message in turn.history for part in message.parts)

    return voice


async def half_a_turn(store: Store) -> TurnRecord:
    """Begin a turn of another worker. One of its tools has ended, and another one is still running."""
    record = turn("c", "old")
    await begin(store, record)
    record.tools = [
        ToolCall("1", "order", {"item": "cake"}, 1.0, 2.0, "done", "ordered cake"),
        ToolCall("2", "order", {"item": "tart"}, 3.0),
    ]
    await store.save(record)
    return record


async def next_turn(store: Store) -> str:
    """Run the next turn on another worker. Return what its model was told."""
    handler = TurnHandler(store)
    event = Message(session_id="s", conversation_id="c", turn_id="new", text="What did I order?")
    told = await admit(handler, reader(), event)
    await handler.drain()
    return told


async def test_of_a_worker_that_does_not_answer(worker: Open) -> None:
    stuck, here = await worker(), await worker()
    await half_a_turn(stuck)
    told = await next_turn(here)
    assert CAKE in told
    assert TART in told
    old = await here.get("c", "old")
    assert old is not None
    assert old.status is Status.SUPERSEDED


async def test_of_a_worker_that_dies_meanwhile(worker: Open) -> None:
    dying, here = await worker(), await worker()
    await half_a_turn(dying)
    asking = asyncio.create_task(next_turn(here))
    await asyncio.sleep(0.05)
    await dying.close()
    told = await asking
    assert CAKE in told
    assert TART in told
    old = await here.get("c", "old")
    assert old is not None
    assert (old.status, old.error) == (Status.FAILED, "CrashedTurnError")


async def test_of_a_worker_that_died_before(worker: Open) -> None:
    dead, here = await worker(), await worker()
    await half_a_turn(dead)
    await dead.close()
    told = await next_turn(here)
    assert CAKE in told
    assert TART in told


@pytest.mark.parametrize("dies", [False, True])
async def test_a_duplicate_of_the_older_turn_does_not_stop_the_newer_one(worker: Open, dies: bool) -> None:
    elsewhere, here = await worker(), await worker()
    await half_a_turn(elsewhere)
    handler = TurnHandler(here)
    new, old = (Message(session_id="s", conversation_id="c", turn_id=name, text=name) for name in ("new", "old"))
    newer = asyncio.create_task(admit(handler, reader(), new))
    while await here.get("c", "new") is None:
        await asyncio.sleep(0.001)
    duplicate = asyncio.create_task(admit(handler, reader(), old))
    await asyncio.sleep(0.05)
    if dies:
        await elsewhere.close()
    assert CAKE in await newer
    assert await duplicate == ""
    record = await here.get("c", "new")
    assert record is not None
    assert record.status is Status.COMPLETE
    await handler.drain()


async def test_of_a_worker_that_was_only_slow_its_own_record_stays(worker: Open) -> None:
    slow, here = await worker(), await worker()
    record = await half_a_turn(slow)
    await next_turn(here)
    record.status, record.heard_text = Status.SUPERSEDED, "I ordered a cake."
    await slow.save(record)
    old = await here.get("c", "old")
    assert old is not None
    assert (old.heard_text, old.notes) == ("I ordered a cake.", [])
