"""A tool may hand the call over, or move to another stage, while the checkpoint of another tool is being written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import LayerCode, Stage, Turn, VoiceAgent

from ..calling import calling, settings


async def _model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
    if len(messages) == 1:
        yield {
            n: DeltaToolCall(name=name, json_args="{}", tool_call_id=name) for n, name in enumerate(["note", "move"])
        }
    else:
        yield "Front desk."


@pytest.mark.anyio
@pytest.mark.parametrize("hands_over", [True, False])
async def test_a_move_is_saved_although_a_save_began_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hands_over: bool
) -> None:
    saving, moved = asyncio.Event(), asyncio.Event()
    agent = Agent(FunctionModel(stream_function=_model), deps_type=Turn)

    @agent.tool
    async def note(ctx: RunContext[Turn]) -> str:
        return "noted"

    @agent.tool
    async def move(ctx: RunContext[Turn]) -> str:
        await saving.wait()
        ctx.deps.hand_to("billing") if hands_over else ctx.deps.go_to("payment")
        moved.set()
        await asyncio.sleep(0.05)  # The other tool's checkpoint is complete before this tool ends.
        return "moved"

    billing = VoiceAgent("billing")

    @billing.on_message
    async def answer(turn: Turn) -> str:
        return "Billing."

    front = VoiceAgent("front", agent, stages=[Stage("order"), Stage("payment")])
    app = LayerCode(front, billing, settings=settings(tmp_path))
    save = app.store.save

    async def slow_save(*given: Any, **named: Any) -> None:
        await save(*given, **named)
        if not saving.is_set():
            saving.set()
            await moved.wait()

    async with calling(app, agent="front") as caller:
        monkeypatch.setattr(app.store, "save", slow_save)
        await caller.say("go")
        await caller.say("hello", turn_id="next")
        record = await app.store.get(caller.conversation_id, "next")
    assert record is not None
    assert (record.agent, record.at_stage) == (("billing", "") if hands_over else ("front", "payment"))
