"""A tool that ends after its turn was interrupted: its outcomes count, and its errors are logged.

If a newer turn has gone to another stage, that stage stays, whatever the tool did.
"""

from __future__ import annotations

import asyncio

import pytest
from loguru import logger
from pydantic_ai import Agent, RunContext

from layercode_app import Call, Stage, Turn, VoiceAgent
from layercode_app.testing import open_call, scripted

pytestmark = pytest.mark.anyio


async def test_a_late_tool_does_not_move_the_stage_back(released: asyncio.Event) -> None:
    proceed, done = asyncio.Event(), False
    agent = Agent(deps_type=Turn)
    stages = [
        Stage("order", "Take the order.", then=lambda turn: "payment" if done else None),
        Stage("payment", "Charge the card."),
        Stage("goodbye", "Say goodbye."),
    ]
    voice = VoiceAgent("desk", agent, tools={"order": "finish"}, stages=stages)

    @agent.tool
    async def order(ctx: RunContext[Turn]) -> str:
        nonlocal done
        await proceed.wait()
        done = True
        return "ordered"

    @agent.tool
    async def leave(ctx: RunContext[Turn]) -> str:
        ctx.deps.go_to("goodbye")
        return "left"

    async with open_call(voice, model=scripted(Call("order"), Call("leave"), "Goodbye.", "Goodbye.")) as call:
        call.interrupt(in_tool=True)
        await call.say("order")
        await call.say("I must go")
        proceed.set()
        await released.wait()
        turn = await call.say("bye")
    assert turn.record is not None
    assert turn.record.at_stage == "goodbye"


async def test_what_a_late_tool_achieves_is_recorded(released: asyncio.Event) -> None:
    proceed, agent = asyncio.Event(), Agent(deps_type=Turn)
    voice = VoiceAgent("shop", agent, tools={"order": "finish"})

    @agent.tool
    async def order(ctx: RunContext[Turn]) -> str:
        ctx.deps.outcome("asked")
        await proceed.wait()
        ctx.deps.outcome("ordered", value=42.0)
        ctx.deps.score("polite", True)
        ctx.deps.count("orders")
        return "ordered"

    async with open_call(voice, model=scripted(Call("order"), "fine")) as call:
        call.interrupt(in_tool=True)
        await call.say("order")
        proceed.set()
        await released.wait()
        record = (await call.records())[0]
    assert [(outcome["name"], outcome["value"]) for outcome in record.outcomes] == [("asked", None), ("ordered", 42.0)]
    assert record.scores["polite"]["value"] is True
    assert record.counts == {"orders": 1}


async def test_the_error_of_a_late_tool_is_logged_and_told(released: asyncio.Event) -> None:
    proceed, agent = asyncio.Event(), Agent(deps_type=Turn)
    voice = VoiceAgent("shop", agent, tools={"order": "finish_and_tell"})
    lines: list[str] = []

    @agent.tool
    async def order(ctx: RunContext[Turn]) -> str:
        await proceed.wait()
        raise ValueError("card declined")

    async with open_call(voice, model=scripted(Call("order"), "fine")) as call:
        call.interrupt(in_tool=True)
        await call.say("order")
        sink = logger.add(lambda line: lines.append(str(line)), level="ERROR")
        proceed.set()
        await released.wait()
        logger.remove(sink)
        record = (await call.records())[0]
    assert record.notes == ["[order failed after the interruption: ValueError]"]
    assert any("order failed after the interruption" in line and "ValueError" in line for line in lines)
