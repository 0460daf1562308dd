"""A worker shuts down while its caller hears a turn that runs in another worker.

The caller hears the turn to its end, or hears a goodbye.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from layercode_app.conversation import draining
from layercode_app.journal.record import Status

from .followed import Counter, Heard

pytestmark = pytest.mark.anyio

LONG = 100.0


def draining_second(counter: Counter, seconds: float = 0.0) -> asyncio.Task[None]:
    return asyncio.create_task(counter.apps[1].turns.drain(seconds, " Goodbye!"))


async def test_the_worker_waits_for_the_end_of_the_turn(counter: Counter, heard: tuple[Heard, Heard]) -> None:
    drained = draining_second(counter, LONG)
    counter.numbers.put_nowait("2 ")
    await heard[1].until("1 ", "2 ")
    assert not drained.done()
    counter.numbers.put_nowait(None)
    await asyncio.wait_for(asyncio.gather(drained, heard[1].task), LONG)
    assert heard[1].words == ["1 ", "2 "]
    assert heard[1].ended


async def test_the_caller_hears_the_sentence_to_its_end_and_the_goodbye(
    counter: Counter, heard: tuple[Heard, Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "SENTENCE_SECONDS", LONG)
    drained = draining_second(counter)
    for word in ("2 ", "done. "):
        await asyncio.sleep(0.2)
        assert not drained.done()
        counter.numbers.put_nowait(word)
    await asyncio.wait_for(asyncio.gather(drained, heard[1].task), LONG)
    assert heard[1].words == ["1 ", "2 ", "done. ", " Goodbye!"]
    assert heard[1].ended


@pytest.mark.parametrize("goodbye", [" Goodbye!", ""])
async def test_a_sentence_that_takes_too_long_is_cut(
    counter: Counter, heard: tuple[Heard, Heard], goodbye: str
) -> None:
    await counter.apps[1].turns.cut(goodbye, seconds=LONG)
    await asyncio.wait_for(heard[1].task, LONG)
    assert heard[1].words == ["1 ", " Goodbye!"][: 1 + bool(goodbye)]
    assert heard[1].ended


async def test_the_caller_of_the_other_worker_hears_all(counter: Counter, heard: tuple[Heard, Heard]) -> None:
    await counter.apps[1].turns.cut(" Goodbye!", seconds=LONG)
    counter.numbers.put_nowait("2 ")
    await heard[0].until("1 ", "2 ")
    counter.numbers.put_nowait(None)
    await asyncio.wait_for(heard[0].task, LONG)
    record: Any = await counter.apps[0].store.get(heard[0].conversation_id, "t")
    assert (record.status, record.spoken_text) == (Status.COMPLETE, "1 2 ")
