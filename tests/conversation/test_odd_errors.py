"""A turn ends with an apology even if the agent's code raises an error that is not an Exception."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, computed_field
from pydantic_ai import Agent, RunContext

from layercode_app import Call, LayerCode, SessionEnd, Turn, VoiceAgent
from layercode_app.settings.limits import Limits
from layercode_app.testing import open_call, scripted
from layercode_app.testing.call import CallError

from ..calling import calling, settings

pytestmark = pytest.mark.anyio


class PanicError(BaseException):
    """An error like the one that libraries written in Rust raise when they panic."""


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


@pytest.mark.parametrize("error", [PanicError, asyncio.CancelledError])
@pytest.mark.parametrize("kind", ["session.update", "own.event"])
async def test_a_session_event_whose_hook_raises_is_failed_and_not_running(
    kind: str, error: type[BaseException], tmp_path: Path
) -> None:
    voice: VoiceAgent[Any, Any] = VoiceAgent("shop")
    on = voice.on_session_update if kind == "session.update" else voice.on_event

    @on
    async def note(event: Any) -> None:
        raise error

    app = LayerCode(voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        answer = await caller.send({"type": kind, "recording_status": "completed"})
        [record] = [record async for record in app.store.turns()]
    assert (answer.status, answer.json) == (500, {"error": "The agent could not handle this event."})
    assert record.error == error.__name__


@pytest.mark.parametrize("error", [PanicError, asyncio.CancelledError])
async def test_a_session_end_whose_hook_raises_is_tried_again_after_a_pause(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layercode_app.jobs.queue.RETRY_SECONDS", (0.01, 0.01))
    voice, tries = VoiceAgent[Any, Any]("shop", greeting="Hello."), list[int]()

    @voice.on_session_end
    async def note(event: SessionEnd) -> None:
        tries.append(1)
        raise error

    async with open_call(voice) as call:
        await call.greet()
        with pytest.raises(CallError, match=error.__name__):
            await call.end()
        async with asyncio.timeout(20):
            while any(job.name == "session_end" for job in await call.app.store.pending_jobs()):
                await asyncio.sleep(0.005)
    assert len(tries) == 3, "then the job was given up"


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
