"""Retry failed model requests of an agent whose hooks are told about failed requests.

For such an agent, PydanticAI itself opens each request, and calls the hooks if that fails. So `BoundedModel` cannot
retry the request without hiding failures from the hooks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering, ModelFallback
from pydantic_ai.exceptions import RetryModelRequest

from ..conversation.turn import Turn
from .bounded_model import others_retry
from .retry import Retries


@dataclass
class RetriedRequests(AbstractCapability[Any]):
    """A capability that sends a failed request again, unless a hook of the agent has handled the failure."""

    turn: Turn[Any, Any]
    retries: Retries

    def get_ordering(self) -> CapabilityOrdering:
        """Return a position outside the agent's capabilities, because PydanticAI calls their error hooks first."""
        return CapabilityOrdering(position="outermost")

    async def on_model_request_error(self, ctx: Any, *, request_context: Any, error: Exception) -> Any:
        """Retry the request after an error that all hooks have raised again."""
        if not await self.retries.again(error):
            raise error
        self.turn.live.run.repeats += 1
        raise RetryModelRequest


def retried_requests(agent: Any, turn: Turn[Any, Any], retries: Retries) -> list[AbstractCapability[Any]]:
    """Return the capability in a list; an empty list if `BoundedModel` or `ModelFallback` handles failed requests."""
    if not others_retry(agent):
        return []
    leaves: list[Any] = []
    agent.root_capability.apply(leaves.append)
    return [] if any(isinstance(one, ModelFallback) for one in leaves) else [RetriedRequests(turn, retries)]
