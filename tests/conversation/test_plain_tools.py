"""A tool that is a plain function runs in a thread, and can use its turn as an async tool can."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Call, LayerCode, Scene, Stage, Turn, VoiceAgent
from layercode_app.testing import open_call

from ..calling import calling, settings
from ..waiting import until

pytestmark = pytest.mark.anyio


class Basket(BaseModel):
    items: int = 0


def shop_with(tool: Any) -> VoiceAgent[Any, Any]:
    """An agent whose script calls the tool and says its result."""
    shop = Agent(deps_type=Turn[Basket])
    shop.tool(tool)
    voice = VoiceAgent("shop", shop, state=Basket, stages=[Stage("order"), Stage("payment")])

    @voice.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        yield scene.results["work"] if scene.answered else Call("work")

    return voice


async def test_a_plain_tool_speaks_sends_and_changes_the_turn(tmp_path: Path) -> None:
    done, ran_in = asyncio.Event(), []

    async def later() -> None:
        done.set()

    def work(ctx: RunContext[Turn[Basket]]) -> str:
        """Use the turn."""
        ran_in.append(threading.get_ident())
        turn = ctx.deps
        turn.say("One. ")
        turn.data({"items": turn.state})
        turn.progress("Two. ")
        turn.state.items += 1
        turn.handoff("asked", say="Three. ")
        turn.go_to("payment")
        turn.background(later())
        turn.hangup()
        return "Done."

    app = LayerCode(shop_with(work), settings=settings(tmp_path))
    async with calling(app) as caller, asyncio.timeout(100):
        reply = await caller.say("go", turn_id="t1")
        await done.wait()
        record = await app.store.get(caller.conversation_id, "t1")
    assert ran_in != [threading.get_ident()]
    assert reply.spoken == "One. Two. Three. Done."
    assert reply.types[:2] == ["response.tts", "response.data"]
    assert reply.types[-2:] == ["response.hangup", "response.end"]
    assert record is not None
    assert (record.error, record.at_stage, record.spoken_text) == (None, "payment", reply.spoken)
    assert [outcome["name"] for outcome in record.outcomes] == ["handoff"]


async def test_many_words_of_a_plain_tool_keep_their_order(tmp_path: Path) -> None:
    words = [f"{number} " for number in range(500)]

    def work(ctx: RunContext[Turn[Basket]]) -> str:
        """Say many words."""
        for word in words:
            ctx.deps.say(word)
        return "Done."

    async with calling(LayerCode(shop_with(work), settings=settings(tmp_path))) as caller:
        assert (await caller.say("go")).spoken == "".join(words) + "Done."


USES: list[Any] = [
    lambda turn: turn.state,
    lambda turn: turn.say("Late. "),
    lambda turn: turn.progress("Late. "),
    lambda turn: turn.data(1),
    lambda turn: turn.hangup(),
    lambda turn: turn.outcome("late"),
    lambda turn: turn.handoff("late"),
    lambda turn: turn.hand_to("shop", say="Late. "),
    lambda turn: turn.go_to("payment"),
    lambda turn: turn.score("ease", 1),
    lambda turn: turn.count("late"),
    lambda turn: turn.span("late"),
]


async def test_a_plain_tool_that_times_out_cannot_use_its_turn_any_more() -> None:
    proceed, ended = threading.Event(), threading.Event()
    refused: list[Any] = []

    def work(ctx: RunContext[Turn[Basket]]) -> str:
        """Use the turn before and after the timeout."""
        ctx.deps.state.items += 1
        ctx.deps.hangup()
        proceed.wait(100)
        for use in USES:
            try:
                use(ctx.deps)
            except asyncio.CancelledError:
                refused.append(use)
        ended.set()
        return "Done."

    async def model(messages: list[Any], info: AgentInfo) -> AsyncIterator[Any]:
        if len(messages) == 1:
            yield {0: DeltaToolCall(name="work", json_args="{}")}
            return
        proceed.set()
        await until(ended.is_set)
        yield "Sorry."

    agent = Agent(FunctionModel(stream_function=model), deps_type=Turn[Basket], tools=[work])
    voice = VoiceAgent("shop", agent, state=Basket, stages=[Stage("order"), Stage("payment")], tool_timeout=0.05)
    async with open_call(voice) as call:
        turn = await call.say("go")
        state = await call.state()
    assert refused == USES
    assert [frame.type for frame in turn.frames] == ["response.tts", "response.end"]
    assert (turn.spoken, state["items"]) == ("Sorry.", 0)
    assert turn.record is not None
    assert (turn.record.outcomes, turn.record.counts, turn.record.scores) == ([], {}, {})
    assert (turn.record.hangup, turn.record.at_stage, turn.record.handed_to) == (False, "order", "")
