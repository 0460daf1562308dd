"""A message reports the interruption of a turn whose own message arrives only later, perhaps at another worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from layercode_app import Message, Turn, VoiceAgent
from layercode_app.conversation.admission import TurnHandler
from layercode_app.journal.record import Status
from layercode_app.journal.stores.base import Store
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.webhook import InterruptionContext

from .admitted import admit
from .conftest import Open

pytestmark = pytest.mark.anyio


def message(turn_id: str, *, interrupts: str = "", interrupted: bool = True) -> Message:
    """Return a message whose text is its turn id. It may report that the turn `interrupts` was interrupted."""
    context = InterruptionContext(
        previous_turn_interrupted=interrupted, text_heard="I was", assistant_turn_id=interrupts
    )
    return Message(
        session_id="s",
        conversation_id="c",
        turn_id=turn_id,
        text=turn_id,
        interruption_context=context if interrupts else None,
    )


class Call:
    """A call whose agent answers with the caller's words. Its second half waits for `go_on`."""

    def __init__(self, *, history: bool = True) -> None:
        self.go_on, self.answered = asyncio.Event(), list[str]()
        self.voice = VoiceAgent("echo", history=history)

        @self.voice.on_message
        async def answer(turn: Turn) -> AsyncIterator[str]:
            self.answered.append(turn.text)
            yield f"{turn.text} "
            await self.go_on.wait()
            yield "done"

    def say(self, handler: TurnHandler, event: Message) -> asyncio.Task[str]:
        return asyncio.create_task(asyncio.wait_for(admit(handler, self.voice, event), 100))

    async def begins(self, turn_id: str) -> None:
        """Wait until the agent answers this turn."""
        async with asyncio.timeout(100):
            while turn_id not in self.answered:
                await asyncio.sleep(0.01)


async def result(store: Store, turn_id: str) -> Any:
    record = await store.get("c", turn_id)
    assert record is not None
    return record.status, record.heard_text, record.user_text


@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize("arrives", ["while the newer turn runs", "after the newer turn"])
@pytest.mark.parametrize("at", ["the same worker", "another worker"])
async def test_the_older_turn_is_recorded_as_interrupted(worker: Open, at: str, arrives: str, history: bool) -> None:
    call = Call(history=history)
    here = TurnHandler(await worker())
    there = here if at == "the same worker" else TurnHandler(await worker())
    new = call.say(here, message("new", interrupts="old"))
    await call.begins("new")
    if arrives == "after the newer turn":
        call.go_on.set()
        await new
    old = call.say(there, message("old"))
    await asyncio.wait({old}, timeout=0.3)
    call.go_on.set()
    assert (await new, await old) == ("new done", "")
    assert await result(here.store, "new") == (Status.COMPLETE, None, "new")
    assert await result(here.store, "old") == (Status.INTERRUPTED, "I was", "old")
    assert await call.say(there, message("old")) == "", "a second delivery is a duplicate"
    assert await call.say(here, message("third")) == "third done"
    assert call.answered == ["new", "third"]
    await here.drain()
    await there.drain()


@pytest.mark.parametrize("report", [{"interrupts": "another"}, {"interrupts": "late", "interrupted": False}])
async def test_a_turn_that_was_not_interrupted_stops_the_running_turn(report: dict[str, Any]) -> None:
    call, handler = Call(), TurnHandler(MemoryStore())
    first = call.say(handler, message("first", **report))
    await call.begins("first")
    late = call.say(handler, message("late"))
    await call.begins("late")
    call.go_on.set()
    assert (await first, await late) == ("first ", "late done")
    assert (await result(handler.store, "first"))[0] is Status.SUPERSEDED


async def test_what_waits_for_the_next_turn_is_not_spoken_by_the_interrupted_turn() -> None:
    call, handler = Call(), TurnHandler(MemoryStore())
    call.go_on.set()
    await call.say(handler, message("new", interrupts="old"))
    await handler.store.establish("c", {"layercode.carried.worker.0": [{"say": "Your order is ready."}]})
    assert await call.say(handler, message("old")) == ""
    assert await call.say(handler, message("third")) == "Your order is ready. third done"
