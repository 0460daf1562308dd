"""An agent with stages and slow tools, for tests that kill its server. It takes a name, then a day, and is done."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import BaseModel
from pydantic_ai import Agent, RunContext

from layercode_app import Call, Scene, Stage, Turn, VoiceAgent
from layercode_app.agent.offline import offline_model, words


class Form(BaseModel):
    """What the caller has told so far."""

    name: str = ""
    day: str = ""


async def fill_in(scene: Scene) -> AsyncIterator[str | Call]:
    """Call the tool of the stage, and say slowly what it returned."""
    tool = next((name for name in ("take_name", "take_day") if scene.offers(name)), "")
    if not scene.answered and tool:
        yield Call(tool, {"said": scene.text})
        return
    for word in words(str(scene.answered[-1].result) if scene.answered else "All is taken down."):
        yield word


async def take_name(ctx: RunContext[Turn[Form]], said: str) -> str:
    """Take down a name."""
    return await _take(ctx.deps, "name", said)


async def take_day(ctx: RunContext[Turn[Form]], said: str) -> str:
    """Take down a day."""
    return await _take(ctx.deps, "day", said)


async def _take(turn: Turn[Form], field: str, said: str) -> str:
    with Path(os.environ["STARTS"]).open("a") as file:
        file.write(f"{turn.conversation_id}-{turn.turn_id}\n")
    await asyncio.sleep(20 if "slowly" in said else 0)
    setattr(turn.state, field, said)
    return f"I have taken down the {field} {said} for you."


def stage_of(turn: Turn[Form]) -> str:
    return "done" if turn.state.day else "day" if turn.state.name else "name"


clerk = VoiceAgent(
    "clerk",
    Agent(offline_model(fill_in, pace=0.1), deps_type=Turn[Form]),
    state=Form,
    stages=[
        Stage("name", tools=[take_name], then=stage_of),
        Stage("day", tools=[take_day], then=stage_of),
        Stage("done", "Say goodbye."),
    ],
    filler=["One moment. ", "Still writing. "],
    filler_every=0.3,
    tool_apology="Sorry.",
)
