"""Apply the first-token timeout, the retries and the hedging to a model that the agent itself selected.

An agent selects its model with a capability, such as PydanticAI's SelectModel, before each request of a run. A hook of
the agent may also switch the model of a request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.models import Model

from .._compat.pydantic_ai import has_hook
from ..conversation.turn import Turn


def may_switch_model(agent: Any) -> bool:
    """Return whether a hook of the agent may switch the model of a request."""
    root = getattr(agent, "root_capability", None)
    return root is not None and any(has_hook(root, name) for name in ("before_model_request", "wrap_model_request"))


@dataclass
class SelectedModel(AbstractCapability[Any]):
    """A capability of one turn's run. It writes each selected model into the turn, and wraps the model for its request.

    `settings_for` returns the additional settings for a model's requests. `wrap` returns a model in its wrappers.
    """

    turn: Turn[Any, Any]
    settings_for: Callable[[Model], Any]
    wrap: Callable[[Model], Model]

    def get_model_settings(self) -> Callable[[Any], Any]:
        """Return a function that PydanticAI calls for each step of the run, to get the additional settings."""
        return lambda ctx: self.settings_for(ctx.model)

    def get_wrapper_model(self, model: Model) -> Model:
        """Write `model` into the turn, as the model of the current request. Return `model` in its wrappers."""
        self.turn.model = model
        if (call := self.turn.live.run.request) is not None:
            call.model = model.model_name
        return self.wrap(model)
