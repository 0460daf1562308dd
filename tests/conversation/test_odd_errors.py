"""A turn ends with an apology also if the agent's code raises an error that is no Exception."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel, computed_field
from pydantic_ai import Agent, RunContext

from layercode_app import Call, Turn, VoiceAgent
from layercode_app.settings.limits import Limits
from layercode_app.testing import open_call, scripted

pytestmark = pytest.mark.anyio


class PanicError(BaseException):
    """An error such as those of libraries that are written in Rust."""


def in_a_hook(error: BaseException) -> VoiceAgent[Any, Any]:
    voice: VoiceAgent[Any, Any] = VoiceAgent("shop")

    @voice.on_message
    async def answer(turn: Turn[Any]) -> str:
        if turn.text == "bad":
            raise error
        return "done"

    return voice


def in_a_stream(error: BaseException) -> VoiceAgent[Any, Any]:
    voice: VoiceAgent[Any, Any] = VoiceAgent("shop")

    @voice.on_message
    async def answer(turn: Turn[Any]) -> AsyncIterator[str]:
        await asyncio.sleep(0)
        if turn.text == "bad":
            raise error
        yield "done"

    return voice


def in_an_async_tool(error: BaseException) -> VoiceAgent[Any, Any]:
    agent = Agent(deps_type=Turn)

    @agent.tool
    async def work(ctx: RunContext[Turn]) -> str:
        await asyncio.sleep(0)
        raise error

    return VoiceAgent("shop", agent)


def in_a_plain_tool(error: BaseException) -> VoiceAgent[Any, Any]:
    agent = Agent(deps_type=Turn)

    @agent.tool
    def work(ctx: RunContext[Turn]) -> str:
        raise error

    return VoiceAgent("shop", agent)


@pytest.mark.parametrize("make", [in_a_hook, in_a_stream, in_an_async_tool, in_a_plain_tool])
@pytest.mark.parametrize("error", [PanicError, asyncio.CancelledError])
async def test_the_caller_hears_an_apology(make: Any, error: type[BaseException]) -> None:
    voice = make(error())
    options = {"model": scripted(Call("work"), "done")} if voice.agent else {}
    async with open_call(voice, **options) as call:
        bad, good = await call.say("bad"), await call.say("good")
    assert bad.record is not None
    called = bool(bad.record.tools)
    assert bad.spoken == (Limits().tool_apology if called else Limits().apology)
    assert [frame.type for frame in bad.frames][-1] == "response.end"
    assert (bad.record.status, bad.record.error) == ("failed", error.__name__)
    assert [tool.status for tool in bad.record.tools] == ["cancelled" if error is not PanicError else "failed"] * called
    assert good.spoken == "done"


class Item(BaseModel):
    price: int = 2

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        """Change the dict that is being dumped, as another thread may do while this code runs."""
        if changes:
            changes.pop().items[f"item {len(changes)}"] = Item()
        return 2 * self.price


class Basket(BaseModel):
    items: dict[str, Item] = {"bread": Item()}


changes: list[Basket] = []


@pytest.mark.parametrize("times", [1, 3])
async def test_a_state_that_changes_while_it_is_dumped(times: int) -> None:
    voice = VoiceAgent("shop", state=Basket)

    @voice.on_message
    async def fill(turn: Turn[Basket]) -> str:
        changes.extend([turn.state] * times)
        return "It is in the basket."

    async with open_call(voice) as call:
        turn = await call.say("fill")
        assert len((await call.state())["items"]) == 1 + times
    assert turn.record is not None
    assert (turn.record.status, turn.record.error, turn.spoken) == ("complete", None, "It is in the basket.")
