"""Private parts of PydanticAI: an agent's instructions, prompts, validators and instrumentation, a stream's events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic_ai.models import StreamedResponse

UNKNOWN: Final = object()
"""The instrumentation of all agents, in a release that does not show it."""


def default_instrumentation() -> Any:
    """Return what `Agent.instrument_all` was given last: settings, True or False; UNKNOWN if it is not shown.

    With UNKNOWN, a turn's tools and PydanticAI's spans stay two capabilities, and our settings are set again.
    """
    from pydantic_ai import Agent

    return getattr(Agent, "_instrument_default", UNKNOWN)


def can_replace_events(stream: StreamedResponse) -> bool:
    """Return whether the events of a stream can be replaced.

    If they cannot, the first event must not be read, so a stream that fails before it is not retried.
    """
    return hasattr(stream, "_event_iterator")


def replace_events(stream: StreamedResponse, events: AsyncIterator[Any]) -> None:
    """Make a stream yield these events."""
    stream._event_iterator = events


def resolves_per_run(toolset: Any) -> bool:
    """Return whether each run opens its own connection to an MCP server, as its own user.

    If that is not shown the answer is True: each turn opens the server, and no caller gets another one's session.
    """
    return bool(getattr(toolset, "_resolves_per_run", True))


def instructions(agent: Any) -> list[Any]:
    """Return the instructions that an agent was given: texts, parts and functions; empty if they are not shown."""
    return _unwrapped(getattr(agent, "_instructions", None))


def capability_instructions(agent: Any) -> list[Any]:
    """Return the instructions that come from an agent's capabilities; empty if they are not shown."""
    return _unwrapped(getattr(agent, "_cap_instructions", None))


def _unwrapped(parts: Sequence[Any] | None) -> list[Any]:
    return [getattr(part, "instruction", part) for part in parts or ()]


def system_prompts(agent: Any) -> list[Any]:
    """Return the system prompts of an agent, and the functions that make some; empty if they are not shown."""
    return [*getattr(agent, "_system_prompts", ()), *getattr(agent, "_system_prompt_functions", ())]


def output_validators(agent: Any) -> Sequence[Any]:
    """Return the output validators of an agent.

    Empty if they are not shown: then a text is spoken while it streams, and validated when it has ended.
    """
    found: Sequence[Any] = getattr(agent, "_output_validators", ())
    return found
