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

from layercode_app import Call, LayerCode, Scene, Stage, Turn, VoiceAgent

from ..calling import calling, settings

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
