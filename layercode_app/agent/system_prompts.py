"""Send an agent's system prompts in every run.

PydanticAI leaves them out of a run that begins with a history, because it expects the history to contain them. But they
are missing if the history begins with a greeting or with another agent's turns, or if a summary replaces its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import ReinjectSystemPrompt
from pydantic_ai.messages import ModelMessage, SystemPromptPart

from .._compat.pydantic_ai import system_prompts


def instructions_for(agent: Any, history: Sequence[ModelMessage] | None) -> list[Callable[..., Any]]:
    """Return instructions for a run with this history: the agent's system prompts, if the history lacks them."""
    if not history or not system_prompts(getattr(agent, "wrapped", agent)) or _reinjects(agent):
        return []
    return [_missing]


def _reinjects(agent: Any) -> bool:
    """Return whether the agent adds its system prompts to a history itself, with a capability of PydanticAI."""
    given = getattr(getattr(agent, "root_capability", None), "capabilities", ())
    return any(isinstance(one, ReinjectSystemPrompt) for one in given)


async def _missing(ctx: RunContext[Any]) -> str:
    """Return the agent's system prompts, or "" if the messages of the run contain one of them."""
    assert ctx.agent is not None
    model: Any = ctx.model
    parts = await ctx.agent.system_prompt_parts(
        deps=ctx.deps, model=model, message_history=ctx.messages, prompt=ctx.prompt, usage=ctx.usage
    )
    texts = [part.content for part in parts]
    sent = {part.content for message in ctx.messages for part in message.parts if isinstance(part, SystemPromptPart)}
    return "" if sent.intersection(texts) else "\n\n".join(texts)
