"""Retry failed model requests of an agent whose hooks are told about failed requests.

For such an agent, PydanticAI itself opens each request, and calls the hooks if that fails. So `BoundedModel` cannot
retry the request without hiding failures from the hooks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering
from pydantic_ai.exceptions import FallbackExceptionGroup, RetryModelRequest

from ..conversation.turn import Turn
from .models import falls_back
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
        """Retry the request after an error that all hooks have raised again, unless `ModelFallback` tried all models."""
        tried_all = isinstance(error, FallbackExceptionGroup) and not falls_back(request_context.model)
        if tried_all or not await self.retries.again(error):
            raise error
        self.turn.live.run.repeats += 1
        raise RetryModelRequest
