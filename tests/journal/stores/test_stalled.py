"""A worker stalls while it runs a turn. Meanwhile, another worker takes over this turn, or ends it.

When the stalled worker continues, it starts no more tools of this turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.function import DeltaToolCall, FunctionModel

from layercode_app import Message, VoiceAgent
from layercode_app.conversation.admission import TurnHandler
from layercode_app.journal.crashed_turn import crash
from layercode_app.journal.record import Status, TurnRecord
from layercode_app.journal.stores.base import Store
from layercode_app.journal.stuck_turns import end_stuck

from .admitted import admit
from .conftest import Open
from .records import begin, ended, turn

pytestmark = pytest.mark.anyio

BOOK = Message(session_id="s", conversation_id="c", turn_id="t", text="book")


async def taken_over(other: Store, record: TurnRecord) -> None:
    """Claim the turn for the other worker, which then ends it."""
    assert await other.claim(record)
    assert await other.save(ended(record, "booked"))


async def displaced(other: Store, record: TurnRecord) -> None:
    """Begin the next turn at the other worker, and mark the old turn as crashed, as that worker does."""
    await begin(other, turn("c", "next"))
    await other.update(*record.key, crash)


async def swept(other: Store, record: TurnRecord) -> None:
    """Mark the turn as crashed. A worker does the same when it stops an older turn."""
    await other.update(*record.key, crash)


async def fixed(other: Store, record: TurnRecord) -> None:
    """End the turn as if its worker had died, as `journal check --fix` does."""
    assert await end_stuck(other, record)


Lost = Callable[[Store, TurnRecord], Awaitable[None]]


def clerk(model: Any, booked: list[str]) -> VoiceAgent[Any, Any]:
    """Return an agent with this model and a tool that books a table."""
    agent = Agent(FunctionModel(stream_function=model))

    @agent.tool_plain
    async def book() -> str:
        booked.append("a table")
        return "booked"

    return VoiceAgent("clerk", agent)


@pytest.mark.parametrize("lose", [taken_over, displaced])
async def test_it_starts_no_tool(worker: Open, lose: Lost) -> None:
    here, other = await worker(), await worker()
    booked: list[str] = []

    async def model(messages: list[Any], info: object) -> AsyncIterator[dict[int, DeltaToolCall]]:
        record = await other.get("c", "t")
        assert record is not None
        await lose(other, record)
        yield {0: DeltaToolCall(name="book", json_args="{}", tool_call_id="c1")}

    heard = await asyncio.wait_for(admit(TurnHandler(here), clerk(model, booked), BOOK), 100)
    assert (heard, booked) == ("", [])


@pytest.mark.parametrize("lose", [swept, fixed])
@pytest.mark.parametrize("before", [True, False])
async def test_the_caller_hears_an_apology_if_the_turn_is_marked_as_crashed(
    worker: Open, lose: Lost, before: bool
) -> None:
    here, other = await worker(), await worker()
    booked: list[str] = []

    async def mark() -> None:
        record = await other.get("c", "t")
        assert record is not None
        await lose(other, record)

    async def model(messages: list[Any], info: object) -> AsyncIterator[dict[int, DeltaToolCall]]:
        if before:
            await mark()
        yield {0: DeltaToolCall(name="book", json_args="{}", tool_call_id="c1")}

    agent = Agent(FunctionModel(stream_function=model))

    @agent.tool_plain
    async def book() -> str:
        booked.append("a table")
        await mark()
        return "booked"

    voice = VoiceAgent("clerk", agent, apology="Sorry.", tool_apology="Sorry. Please check your booking.")
    heard = await asyncio.wait_for(admit(TurnHandler(here), voice, BOOK), 100)
    assert heard == ("Sorry." if before else "Sorry. Please check your booking.")
    assert booked == ([] if before else ["a table"])
    record = await here.get("c", "t")
    assert record is not None
    assert (record.status, record.error, len(record.tools)) == (Status.FAILED, "CrashedTurnError", len(booked))


@pytest.mark.parametrize("lose", [swept, fixed])
async def test_the_caller_hears_the_apology_after_a_filler_too(worker: Open, lose: Lost) -> None:
    here, other = await worker(), await worker()

    async def model(messages: list[Any], info: object) -> AsyncIterator[dict[int, DeltaToolCall]]:
        while handler.running["c"].record.impact != "filler":
            await asyncio.sleep(0.01)
        yield {0: DeltaToolCall(name="book", json_args="{}", tool_call_id="c1")}

    agent = Agent(FunctionModel(stream_function=model))

    @agent.tool_plain
    async def book() -> str:
        record = await other.get("c", "t")
        assert record is not None
        await lose(other, record)
        return "booked"

    handler = TurnHandler(here)
    voice = VoiceAgent("clerk", agent, tool_apology="Sorry.", filler=["One moment. "], filler_after=0.01)
    assert await asyncio.wait_for(admit(handler, voice, BOOK), 100) == "One moment. Sorry."


async def test_a_store_tells_whether_a_turn_was_saved(worker: Open) -> None:
    here, other = await worker(), await worker()
    record = (await begin(here, turn("c", "t"))).record
    assert await here.save(record)
    stored = await other.get("c", "t")
    assert stored is not None
    await displaced(other, stored)
    assert not await here.save(record)
    assert await here.save(ended(record))


async def test_a_turn_goes_on_when_its_conversation_is_forgotten(worker: Open) -> None:
    here, other = await worker(), await worker()
    booked: list[str] = []

    async def model(messages: list[Any], info: object) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
        if booked:
            yield "Booked."
            return
        await other.forget("c")
        yield {0: DeltaToolCall(name="book", json_args="{}", tool_call_id="c1")}

    heard = await asyncio.wait_for(admit(TurnHandler(here), clerk(model, booked), BOOK), 100)
    assert (heard, booked) == ("Booked.", ["a table"])
