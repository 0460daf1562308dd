"""Run an agent with the tools and the instructions of its current stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_ai import ModelRetry, RunContext, Tool
from pydantic_ai.toolsets import AbstractToolset, CombinedToolset, DynamicToolset, FunctionToolset

from ..conversation.turn import Turn
from .stage import NEXT_STAGE, Stage

if TYPE_CHECKING:
    from .voice_agent import VoiceAgent


def stage_options(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any]) -> dict[str, Any]:
    """Return options for an agent's run, so that each model request has the current stage's tools and instructions."""
    stages = voice.stages
    made: dict[str, AbstractToolset[Any]] = {}

    def tools(ctx: RunContext[Any]) -> AbstractToolset[Any]:
        # Return the same object for each request of a stage, so that the toolset is not closed and reopened.
        if turn.stage not in made:
            made[turn.stage] = _tools(stages.of(turn), stages.toolsets[turn.stage], turn)
        return made[turn.stage]

    def instructions(ctx: RunContext[Any]) -> str:
        return stages.of(turn).told(turn)

    return {"toolsets": [DynamicToolset(tools)], "instructions": instructions}


def _tools(stage: Stage, own: AbstractToolset[Any], turn: Turn[Any, Any]) -> AbstractToolset[Any]:
    if not stage.following:
        return own
    return CombinedToolset([own, FunctionToolset([_next_stage(stage.following, turn)])])


def _next_stage(following: tuple[str, ...], turn: Turn[Any, Any]) -> Tool[Any]:
    """Return the tool `next_stage`, which moves the call on to a stage in `following`."""

    async def go_on(stage: str = following[0]) -> str:
        if stage not in following:  # PydanticAI does not check the arguments against the schema.
            raise ModelRetry(f"The stage {stage!r} does not follow this one. Expected one of: {', '.join(following)}.")
        turn.go_to(stage)
        return f"The stage of the call is now {turn.stage!r}."

    several = len(following) > 1
    schema: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    if several:
        schema["properties"] = {"stage": {"type": "string", "enum": list(following)}}
        schema["required"] = ["stage"]
    where = "the stage that follows" if several else f"the stage {following[0]!r}"
    description = f"Go on to {where}, when everything that this stage is for is done."
    return Tool.from_schema(go_on, NEXT_STAGE, description, schema)


def without_other_stages(
    voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], toolset: AbstractToolset[Any]
) -> AbstractToolset[Any]:
    """Return the toolset without the tools that other stages list, unless the current stage lists them too."""
    stages = voice.stages
    return toolset.filtered(lambda ctx, tool: tool.name not in stages.claimed or tool.name in stages.of(turn).own_names)
