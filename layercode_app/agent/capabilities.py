"""Combine two capabilities in one: PydanticAI's instrumentation for the spans, and TurnTools for the tool calls.

PydanticAI calls every capability at about thirty points of a run, each with a new context, even if the capability does
nothing there. A second capability would therefore take as much time as the recording of the spans.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_ai import Agent
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.capabilities.instrumentation import Instrumentation
from pydantic_ai.models.instrumented import InstrumentationSettings, InstrumentedModel

from .._compat.pydantic_ai import default_instrumentation
from ..conversation.turn import Turn
from .consent import Consent
from .tools import TurnTools

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.toolsets import AbstractToolset

    from .voice_agent import VoiceAgent


@dataclass
class TracedTurnTools(Instrumentation):
    """A capability that traces a run as PydanticAI's `Instrumentation` does, and calls TurnTools inside the spans."""

    tools: TurnTools = field(kw_only=True)

    async def before_model_request(self, ctx: Any, request_context: Any) -> Any:
        """Remove or replace the parts of the messages that a provider would refuse."""
        return await self.tools.before_model_request(ctx, await super().before_model_request(ctx, request_context))

    def get_wrapper_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any] | None:
        """Wrap MCP toolsets so that the run uses the servers that are already open. Leave out tools of other stages."""
        return self.tools.get_wrapper_toolset(toolset)

    async def wrap_tool_execute(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Any) -> Any:
        """Open the tool's span, and run the tool call within it."""

        async def watched(args: Any) -> Any:
            return await self.tools.wrap_tool_execute(ctx, call=call, tool_def=tool_def, args=args, handler=handler)

        return await super().wrap_tool_execute(ctx, call=call, tool_def=tool_def, args=args, handler=watched)

    async def wrap_output_process(self, ctx: Any, *, output_context: Any, output: Any, handler: Any) -> Any:
        """Open the span of an output function, and run the function within it."""

        async def watched(output: Any) -> Any:
            return await self.tools.wrap_output_process(
                ctx, output_context=output_context, output=output, handler=handler
            )

        return await super().wrap_output_process(ctx, output_context=output_context, output=output, handler=watched)

    async def handle_deferred_tool_calls(self, ctx: Any, *, requests: Any) -> Any:
        """Approve the tool calls to which the caller has agreed."""
        return await self.tools.handle_deferred_tool_calls(ctx, requests=requests)

    async def after_model_request(self, ctx: Any, *, request_context: Any, response: ModelResponse) -> ModelResponse:
        """Remove blank text, and reasoning within the text, from a complete response, as TurnTools does."""
        return await self.tools.after_model_request(ctx, request_context=request_context, response=response)


def watch(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any], consent: Consent) -> AbstractCapability[Any]:
    """Return the capability of a turn: TurnTools alone, or within PydanticAI's instrumentation if that is on."""
    tools = TurnTools(voice, turn, consent)
    settings = _added_settings(voice.agent, turn.model)
    return tools if settings is None else TracedTurnTools(settings=settings, tools=tools)


def _added_settings(agent: Any, model: Any) -> InstrumentationSettings | None:
    """Return the settings of the instrumentation that PydanticAI adds to all agents.

    Returns None if PydanticAI adds none, or if the agent or its model has instrumentation of its own. Also returns None
    if a capability of the agent wraps tool calls, because in that case PydanticAI has to decide the order of the
    wrappers; see `_is_plain`.
    """
    default = default_instrumentation()
    if not isinstance(default, InstrumentationSettings) or isinstance(model, InstrumentedModel):
        return None
    return default if type(agent) is Agent and agent.instrument is None and _is_plain(agent) else None


def _is_plain(agent: Agent[Any, Any]) -> bool:
    """Return whether all capabilities of the agent come from PydanticAI, and none of them wraps tool calls.

    Any other capability might have to run between PydanticAI's instrumentation (outside) and TurnTools (inside).
    `TracedTurnTools` combines these two, so nothing can run between them. If the agent has its own instrumentation, the
    result is False, because the instrumentation wraps tool calls.
    """
    return all(
        type(one).__module__.startswith("pydantic_ai.capabilities.")
        and type(one).wrap_tool_execute is AbstractCapability.wrap_tool_execute
        for one in agent.root_capability.capabilities
    )
