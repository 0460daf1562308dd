"""What the caller heard of a turn stays in its record, whichever worker is slow or dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from layercode_app import Message, Turn, VoiceAgent
from layercode_app.conversation import delivery
from layercode_app.conversation.admission import TurnHandler
from layercode_app.exceptions import StoreError
from layercode_app.journal.record import Status, TurnRecord
from layercode_app.journal.stores.base import Signal, Store

from .admitted import admit
from .conftest import Open
from .records import begin, ended, turn

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "DISPLACE_SECONDS", 0.3)


def counter(go_on: asyncio.Event) -> VoiceAgent:
    """Return an agent that counts to four. It says the second half when `go_on` is set."""
    voice = VoiceAgent("counter", history=True)

    @voice.on_message
    async def count(turn: Turn) -> AsyncIterator[str]:
        yield "one two "
        await go_on.wait()
        yield "three four"

    return voice


def message(turn_id: str, heard: str | None = None, of: str = "old") -> Message:
    """Return a message. `heard` is what the caller heard of the previous turn, whose id is `of`."""
    context: Any = None
    if heard is not None:
        context = {"previous_turn_interrupted": True, "text_heard": heard, "assistant_turn_id": of}
    return Message(session_id="s", conversation_id="c", turn_id=turn_id, text="Go on.", interruption_context=context)


async def heard_of(store: Store, turn_id: str) -> tuple[Status, str]:
    record = await store.get("c", turn_id)
    assert record is not None
    return record.status, record.heard


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


def speaks(handler: TurnHandler) -> bool:
    """Return whether a turn of the worker has said something.

    Until then, a turn may run in the worker although it is not in the journal yet.
    """
    return any(live.frames for live in handler.running.values())


async def begun_to_speak(handler: TurnHandler, go_on: asyncio.Event) -> asyncio.Task[str]:
    """Begin the turn "old" in the worker, and wait until it has said something. Its second half waits for `go_on`."""
    speaking = asyncio.create_task(admit(handler, counter(go_on), message("old")))
    await until(lambda: speaks(handler))
    return speaking


def soon() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


async def begun_and_left(store: Store, turn_id: str) -> None:
    """Begin a turn, and let its worker die right after that."""
    await begin(store, turn("c", turn_id, user_text="Go on."))
    await store.close()


async def test_if_the_worker_dies_that_was_told(worker: Open) -> None:
    first, dying, here = await worker(), await worker(), await worker()
    await begin(first, old := turn("c", "old"))
    await first.save(ended(old, "one two three four"))
    await begun_and_left(dying, "new")
    await admit(TurnHandler(here), counter(soon()), message("new", "one two"))
    assert await heard_of(here, "old") == (Status.INTERRUPTED, "one two")


async def test_if_the_worker_dies_that_was_to_stop_it(worker: Open) -> None:
    first, dying, here = await worker(), await worker(), await worker()
    running = TurnHandler(first)
    cut = await begun_to_speak(running, asyncio.Event())
    await begun_and_left(dying, "new")
    await admit(TurnHandler(here), counter(soon()), message("new", "one"))
    await asyncio.wait([cut], timeout=10)
    assert cut.done(), (
        f"was not stopped; its record: {await heard_of(here, 'old')}, alive: {await here.alive(first.owner)}"
    )
    await cut
    assert await heard_of(here, "old") == (Status.SUPERSEDED, "one")
    await running.drain()


@pytest.mark.parametrize("hears_of_it", ["while it runs", "after its end"])
async def test_if_its_own_worker_is_slow(worker: Open, hears_of_it: str) -> None:
    first, here = await worker(), await worker()
    slow, signals, go_on = TurnHandler(first), list[Signal](), asyncio.Event()
    first.on_signal(signals.append)
    speaking = await begun_to_speak(slow, go_on)
    await admit(TurnHandler(here), counter(soon()), message("new", "one"))
    assert await heard_of(here, "old") == (Status.SUPERSEDED, "one")

    await until(lambda: "heard" in {signal.kind for signal in signals})
    if hears_of_it == "after its end":
        go_on.set()
        await speaking
        assert (await heard_of(here, "old"))[1] == "one two three four"
    for signal in signals:
        slow._obey(signal)
    await asyncio.wait_for(speaking, 10)
    async with asyncio.timeout(10):
        while (await heard_of(here, "old"))[1] != "one":
            await asyncio.sleep(0.01)
    await slow.drain()


async def test_if_its_save_is_late(worker: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    first, here = await worker(), await worker()
    saves = TurnHandler(first)

    async def away(record: TurnRecord, **named: Any) -> None:
        raise StoreError("away")

    with monkeypatch.context() as outage:
        outage.setattr(first, "save", away)
        await admit(saves, counter(soon()), message("old"))
        first.on_signal(lambda signal: None)
        await admit(TurnHandler(here), counter(soon()), message("new", "one two"))
        saves._obey(Signal("heard", "c", "old", heard={"previous_turn_interrupted": True, "text_heard": "one two"}))
        await asyncio.sleep(0)
    assert await saves.late.hurry("c") is None
    assert await heard_of(here, "old") == (Status.INTERRUPTED, "one two")
    await saves.drain()
