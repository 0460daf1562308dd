"""Find mistakes in an agent after its file has run, because tools are registered after the agent is created."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..nearest import nearest
from .confirm_options import needs_confirmation

if TYPE_CHECKING:
    from .voice_agent import VoiceAgent


def fault_of_agent(voice: VoiceAgent[Any, Any]) -> str:
    """Return a message that says what is wrong with the agent and how to fix it, or "" if nothing is wrong."""
    return fault_of_speech(voice) or fault_of_tools(voice) or _fault_of_confirmation(voice)


def fault_of_speech(voice: VoiceAgent[Any, Any]) -> str:
    """Return a message if the agent can never say anything, else ""."""
    if voice.agent is not None or "message" in voice.hooks or voice.greeting is not None:
        return ""
    return (
        f"VoiceAgent({voice.name!r}) has nothing to say: it has no PydanticAI agent, no on_message hook and no "
        "greeting. Give it an agent, or write one: @agent.on_message above `async def reply(turn)`."
    )


def fault_of_tools(voice: VoiceAgent[Any, Any]) -> str:
    """Return a message if `tools=`, `confirm=` or a stage names a tool that the agent does not have, else ""."""
    claimed = dict.fromkeys(sorted(voice.stages.claimed))
    named: dict[str, Mapping[str, Any]] = {"tools": voice.tools, "confirm": voice.confirm, "stages": claimed}
    return next(filter(None, (_fault_of_names(voice, argument, given) for argument, given in named.items())), "")


def _fault_of_confirmation(voice: VoiceAgent[Any, Any]) -> str:
    if voice.agent is None or not needs_confirmation(voice, voice.confirm):
        return ""
    from .outputs import fault_of_validators

    return fault_of_validators(voice.name, voice.agent)


def _fault_of_names(voice: VoiceAgent[Any, Any], argument: str, given: Mapping[str, Any]) -> str:
    if not given:
        return ""
    names = _tool_names(voice)
    wrong = None if names is None else next((name for name in given if name not in names), None)
    if names is None or wrong is None:
        return ""
    meant = nearest(wrong, names)
    hint = f" Did you mean {meant!r}?" if meant else ""
    known = ", ".join(sorted(names)) or "none"
    return f"VoiceAgent({voice.name!r}) {argument}={{{wrong!r}: …}}: the agent has no such tool.{hint} It has: {known}."


def _tool_names(voice: VoiceAgent[Any, Any]) -> set[str] | None:
    """Return the names of the agent's tools; None if a toolset, such as an MCP server, knows them only in a run."""
    from pydantic_ai.toolsets import FunctionToolset

    names: set[str] = set()
    for toolset in voice.toolsets:
        if not isinstance(toolset, FunctionToolset):
            return None
        names |= toolset.tools.keys()
    return names
