"""A worker that follows another worker's turn survives a short outage of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from layercode_app import LayerCode, Turn, VoiceAgent
from layercode_app.conversation import delivery
from layercode_app.exceptions import StoreError
from layercode_app.journal.record import Json, TurnRecord
from layercode_app.journal.stores.base import Store

from ..calling import Caller, calling, settings

pytestmark = pytest.mark.anyio

EVENT = {"type": "message", "text": "count", "turn_id": "t"}


class Counter:
    """Says a number whenever it is let."""

    def __init__(self, tmp_path: Path) -> None:
        self.numbers: asyncio.Queue[str | None] = asyncio.Queue()
        voice = VoiceAgent("counter")

        @voice.on_message
        async def count(turn: Turn) -> AsyncIterator[str]:
            while (number := await self.numbers.get()) is not None:
                yield number

        self.apps = [LayerCode(voice, settings=settings(tmp_path, apology="Sorry!")) for _ in range(2)]


class Heard:
    """What one caller hears, as it comes."""

    def __init__(self, caller: Caller) -> None:
        self.frames: list[Any] = []
        self.more = asyncio.Condition()
        self.task = asyncio.create_task(self._listen(caller))

    @property
    def words(self) -> list[Any]:
        return [frame.content for frame in self.frames if frame.type == "response.tts"]

    async def _listen(self, caller: Caller) -> None:
        ids = {"conversation_id": caller.conversation_id, "session_id": caller.session_id}
        async with caller.client.deliver(EVENT | ids) as answer:
            async for frame in answer.frames():
                async with self.more:
                    self.frames.append(frame)
                    self.more.notify_all()

    async def until(self, *words: str) -> None:
        async with asyncio.timeout(100), self.more:
            await self.more.wait_for(lambda: self.words == list(words))


@pytest.fixture
def counter(tmp_path: Path) -> Counter:
    return Counter(tmp_path)


@pytest.fixture
async def heard(counter: Counter) -> AsyncIterator[tuple[Heard, Heard]]:
    """A turn that runs in the first worker and is followed from the second; both have heard one word."""
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(app)) for app in counter.apps]
        callers[1].conversation_id = callers[0].conversation_id
        first = Heard(callers[0])
        counter.numbers.put_nowait("1 ")
        await first.until("1 ")
        second = Heard(callers[1])
        await second.until("1 ")
        yield first, second
        counter.numbers.put_nowait(None)
        await asyncio.wait_for(asyncio.gather(first.task, second.task), 100)


def fail(store: Store, times: int, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The store fails so often to save what still runs; set when it has."""
    save, left, failed = store.save, iter(range(times)), asyncio.Event()

    async def unless_away(record: TurnRecord, *, state: dict[str, Json] | None = None) -> None:
        if not record.finished and next(left, None) is not None:
            failed.set()
            raise StoreError("away")
        await save(record, state=state)

    monkeypatch.setattr(store, "save", unless_away)
    return failed


async def test_who_follows_hears_the_next_word_once_the_journal_is_back(
    counter: Counter, heard: tuple[Heard, Heard], monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    failed = fail(counter.apps[0].store, 2, monkeypatch)
    counter.numbers.put_nowait("2 ")
    await failed.wait()
    await heard[1].until("1 ", "2 ")
    assert len([line for line in warned if "wait for the journal" in line]) == 1


async def test_who_follows_is_patient_with_the_journal(
    counter: Counter, heard: tuple[Heard, Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = counter.apps[1].store
    get, left = store.get, iter(range(2))

    async def unless_away(conversation_id: str, turn_id: str) -> TurnRecord | None:
        if next(left, None) is not None:
            raise StoreError("away")
        return await get(conversation_id, turn_id)

    monkeypatch.setattr(store, "get", unless_away)
    counter.numbers.put_nowait("2 ")
    await heard[1].until("1 ", "2 ")


async def test_who_follows_hears_the_apology_when_the_journal_stays_away(
    counter: Counter, heard: tuple[Heard, Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.numbers.put_nowait("2 ")
    await heard[1].until("1 ", "2 ")

    async def away(*_: Any) -> Any:
        raise StoreError("away")

    monkeypatch.setattr(delivery, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(counter.apps[1].store, "get", away)
    monkeypatch.setattr(counter.apps[1].store, "signal", away)
    await asyncio.wait_for(heard[1].task, 100)
    assert heard[1].words == ["1 ", "2 ", "Sorry!"]
    assert heard[1].frames[-1].type == "response.end"
