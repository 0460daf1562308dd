"""Send an agent's own system prompts in every run, and no others.

PydanticAI leaves them out of a run that begins with a history, because it expects the history to contain them. But they
are missing if the history begins with a greeting or with another agent's turns, or if a summary replaces its beginning.
And the system prompts in a history may be those of another agent, or of an earlier version of the agent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import ReinjectSystemPrompt
from pydantic_ai.messages import ModelMessage

from .._compat.pydantic_ai import system_prompts


def without_old_prompts(agent: Any, history: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Return the history without the system prompts of earlier runs.

    The first message keeps them if they are the agent's own and have not changed, so that providers can cache it.
    """
    kept = 1 if _begins_with_own(agent, history) else 0
    return [*history[:kept], *map(_without_opening, history[kept:])]


def instructions_for(agent: Any, history: Sequence[ModelMessage] | None) -> list[Callable[..., Any]]:
    """Return the agent's system prompts as instructions for a run with this history.

    `history` is the result of `without_old_prompts`. The list is empty if the run gets the system prompts in another
    way: the history begins with them, or PydanticAI adds them. PydanticAI adds them if there is no history, or if the
    agent has the capability `ReinjectSystemPrompt`. The list is also empty if the agent has no system prompts.
    """
    if not history or _prompts_of(agent) == [] or _reinjects(agent) or _begins_with_own(agent, history):
        return []
    return [_own_prompts]


def _begins_with_own(agent: Any, history: Sequence[ModelMessage]) -> bool:
    """Return whether the history begins with exactly the agent's system prompts.

    Return False if a function returns one of the prompts, because it may return another text in each run.
    """
    return bool(history) and [part.content for part in _opening(history[0])] == _prompts_of(agent)


def _prompts_of(agent: Any) -> list[Any] | None:
    """Return an agent's system prompts and the functions that return them, even if the agent is in a wrapper."""
    while (wrapped := getattr(agent, "wrapped", None)) is not None:
        agent = wrapped
    return system_prompts(agent)


def _opening(message: ModelMessage) -> list[Any]:
    """Return the system prompts with which a run began: they are directly before its user prompt.

    System prompts that a tool or a capability added later in a run are not returned: no user prompt follows them.
    """
    parts = list(takewhile(lambda part: part.part_kind == "system-prompt", message.parts))
    following = message.parts[len(parts) : len(parts) + 1]
    return parts if any(part.part_kind == "user-prompt" for part in following) else []


def _without_opening(message: ModelMessage) -> ModelMessage:
    opening = len(_opening(message))
    if not opening:
        return message
    changed: Any = message
    return replace(changed, parts=message.parts[opening:])  # type: ignore[no-any-return]


def _reinjects(agent: Any) -> bool:
    """Return whether the agent has PydanticAI's capability that adds the agent's system prompts to a history."""
    given = getattr(getattr(agent, "root_capability", None), "capabilities", ())
    return any(isinstance(one, ReinjectSystemPrompt) for one in given)


async def _own_prompts(ctx: RunContext[Any]) -> str:
    """Return the system prompts of the running agent."""
    assert ctx.agent is not None
    model: Any = ctx.model
    parts = await ctx.agent.system_prompt_parts(
        deps=ctx.deps, model=model, message_history=ctx.messages, prompt=ctx.prompt, usage=ctx.usage
    )
    return "\n\n".join(part.content for part in parts)
