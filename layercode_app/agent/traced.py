"""One capability for two: PydanticAI's own spans of a run, and the watch over its tool calls.

PydanticAI asks every capability at some thirty points of a run, with a context made for each, whether or not it does
anything there. Where spans are recorded, that costs as much as the spans.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_ai import Agent
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.capabilities.instrumentation import Instrumentation
from pydantic_ai.models.instrumented import InstrumentationSettings, InstrumentedModel

from ..conversation.turn import Turn
from .tools import TurnTools

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.toolsets import AbstractToolset

    from .voice_agent import VoiceAgent


@dataclass
class TracedTurnTools(Instrumentation):
    """The spans that PydanticAI would make of a run by itself, around the watch over its tools."""

    tools: TurnTools = field(kw_only=True)

    async def before_model_request(self, ctx: Any, request_context: Any) -> Any:
        """Send only what a provider accepts."""
        return await self.tools.before_model_request(ctx, await super().before_model_request(ctx, request_context))

    def get_wrapper_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any] | None:
        """Put the servers that are kept open in place of the agent's own toolsets."""
        return self.tools.get_wrapper_toolset(toolset)

    async def wrap_tool_execute(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Any) -> Any:
        """Open the tool's span, and within it do what is to be done about a call."""

        async def watched(args: Any) -> Any:
            return await self.tools.wrap_tool_execute(ctx, call=call, tool_def=tool_def, args=args, handler=handler)

        return await super().wrap_tool_execute(ctx, call=call, tool_def=tool_def, args=args, handler=watched)

    async def after_model_request(self, ctx: Any, *, request_context: Any, response: ModelResponse) -> ModelResponse:
        """Do what is to be done about a response."""
        return await self.tools.after_model_request(ctx, request_context=request_context, response=response)


def watch(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any]) -> AbstractCapability[Any]:
    """What watches over the tools of a turn, and makes the spans of its run where PydanticAI would have added them."""
    tools = TurnTools(voice, turn)
    settings = _added_settings(voice.agent, turn.model)
    return tools if settings is None else TracedTurnTools(settings=settings, tools=tools)


def _added_settings(agent: Any, model: Any) -> InstrumentationSettings | None:
    """Of the spans that PydanticAI adds for all agents; None where it is asked for none, or for others."""
    # Where a release keeps it elsewhere, two capabilities do the same.
    default = getattr(Agent, "_instrument_default", None)
    if not isinstance(default, InstrumentationSettings) or isinstance(model, InstrumentedModel):
        return None
    return default if type(agent) is Agent and agent.instrument is None and _is_plain(agent) else None


def _is_plain(agent: Agent[Any, Any]) -> bool:
    """Whether nothing comes between the spans and the watch: no capability but PydanticAI's, none around tool calls.

    The agent's own spans are around tool calls, too.
    """
    return all(
        type(one).__module__.startswith("pydantic_ai.capabilities.")
        and type(one).wrap_tool_execute is AbstractCapability.wrap_tool_execute
        for one in agent.root_capability.capabilities
    )
