"""A tool of an interrupted turn keeps the state in memory while turns at another worker change it in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext

from layercode_app import Call, LayerCode, Scene, Turn, VoiceAgent

from ..calling import Caller, calling, settings

pytestmark = pytest.mark.anyio


class Basket(BaseModel):
    items: list[str] = []
    paid: bool = False


class Worker:
    """A worker whose agent adds the caller's words to the basket.

    If the caller says "pay", the agent calls a tool that runs until `paid` is set.
    """

    def __init__(self, tmp_path: Path) -> None:
        self.paying, self.paid = asyncio.Event(), asyncio.Event()
        agent = Agent(deps_type=Turn[Basket])
        self.voice = VoiceAgent("shop", agent, state=Basket, tools={"pay": "finish"})

        @agent.tool
        async def pay(ctx: RunContext[Turn[Basket]]) -> str:
            self.paying.set()
            await self.paid.wait()
            ctx.deps.state.paid = True
            return "paid"

        @agent.tool
        async def add(ctx: RunContext[Turn[Basket]], item: str) -> str:
            ctx.deps.state.items.append(item)
            return ", ".join(ctx.deps.state.items)

        @self.voice.offline
        async def script(scene: Scene) -> AsyncIterator[str | Call]:
            if scene.answered:
                yield str(scene.answered[-1].result)
            else:
                yield Call("pay") if scene.says("pay") else Call("add", {"item": scene.text})

        self.app = LayerCode(self.voice, settings=settings(tmp_path), model="offline")

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[Caller]:
        async with calling(self.app, agent="shop") as caller:
            caller.conversation_id = "shared"
            yield caller


@pytest.mark.parametrize("ends_early", [True, False])
async def test_a_worker_with_a_late_tool_sees_what_others_have_saved(tmp_path: Path, ends_early: bool) -> None:
    one, two = Worker(tmp_path), Worker(tmp_path)
    async with one.calling() as here, two.calling() as there:
        assert (await here.say("bread")).spoken == "bread"
        paying = asyncio.create_task(here.say("pay"))
        await one.paying.wait()
        assert (await there.say("milk")).spoken == "bread, milk"
        await paying
        if ends_early:
            one.paid.set()
        assert (await here.say("eggs")).spoken == "bread, milk, eggs"
        one.paid.set()

        async def paid() -> bool:
            return bool((await one.app.store.conversation("shared")).state["paid"])

        async with asyncio.timeout(10):
            while not await paid():
                await asyncio.sleep(0.01)
        kept = await one.app.store.conversation("shared")
    assert kept.state == {"items": ["bread", "milk", "eggs"], "paid": True}


async def test_what_a_worker_has_not_saved_yet_is_not_replaced(tmp_path: Path) -> None:
    one, two = Worker(tmp_path), Worker(tmp_path)
    async with one.calling() as here, two.calling() as there:
        await here.say("bread")
        paying = asyncio.create_task(here.say("pay"))
        await one.paying.wait()
        await there.say("milk")
        await paying
        (state,) = one.app.turns.states._states.values()
        state.model.items.append("unsaved")
        assert (await here.say("eggs")).spoken == "bread, milk, unsaved, eggs"
        one.paid.set()
        kept = await one.app.store.conversation("shared")
    assert kept.state["items"] == ["bread", "milk", "unsaved", "eggs"]
