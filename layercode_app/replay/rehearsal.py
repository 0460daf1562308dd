"""Prepare the agent of a fork or a replay: a copy with another prompt or model, and with recorded tool results."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

from ..agent.instructions import with_prompt
from ..agent.models import choose_model
from ..agent.runner import AgentRunner
from ..agent.voice_agent import VoiceAgent
from ..conversation.fillers import Filler
from ..conversation.turn import Turn
from ..exceptions import ForkError
from ..journal.record import Json, ToolCall

if TYPE_CHECKING:
    from pydantic_ai.models import Model

StandIn: TypeAlias = Callable[[ToolCall, Turn[Any, Any]], Awaitable[Json] | None]
"""A function that may answer a tool call of a turn in place of the tool; if it returns None, the tool runs."""


class Rehearsal(AgentRunner):
    """A copy of an agent that answers recorded turns. The agent that serves calls is not changed.

    `prompt` replaces the agent's prompt; see `agent.instructions.prompt_of`. The agent's other instructions stay: its
    instruction functions, and SPEAK_PLAINLY.

    Raises ForkError if the prompt is empty, or if a prompt or model is given for an agent that answers without a model.
    Raises ConfigurationError if the model cannot be used.
    """

    def __init__(
        self,
        voice: VoiceAgent[Any, Any],
        *,
        prompt: str | None = None,
        model: str | Model | None = None,
        tools: StandIn | None = None,
        fillers: bool = True,
    ) -> None:
        if voice.agent is None and (prompt is not None or model is not None):
            raise ForkError(f"Agent {voice.name!r} answers without a model, so its prompt and model cannot be changed.")
        if prompt is not None and not prompt.strip():
            raise ForkError("The prompt is empty; expected a text. To keep the agent's own prompt, omit the prompt.")
        super().__init__(copy.copy(voice))
        self._prompt = prompt
        self._tools = tools
        self._fillers = fillers
        self.error: Exception | None = None
        """The exception that made the last turn fail; None if it did not fail."""
        if isinstance(model, str):
            choose_model(self.voice, asked=model)
        elif model is not None:
            self.voice.use_model(model)

    @property
    def model(self) -> Model | None:
        """The model that replaces the agent's own, or None. Use it in `async with`, which closes its connections."""
        return self.voice.model

    @property
    def fingerprint(self) -> str:
        """The agent's version; a replaced prompt changes it."""
        own = self.voice.fingerprint
        return own if self._prompt is None else hashlib.sha256(f"{own}\0{self._prompt}".encode()).hexdigest()[:8]

    @property
    def filler(self) -> Filler | None:
        """The filler for silences; None if fillers are off."""
        return self.voice.filler if self._fillers else None

    async def answer(self, turn: Turn[Any, Any]) -> None:
        """Speak the reply to this turn."""
        tools = self._tools
        turn.live.run.stand_in = None if tools is None else lambda call: tools(call, turn)
        self.error = None
        try:
            with self._prompted():
                await super().answer(turn)
        except Exception as error:
            self.error = error
            raise

    def _prompted(self) -> AbstractContextManager[None]:
        agent: Any = self.voice.agent
        if self._prompt is None:
            return nullcontext()
        override: AbstractContextManager[None] = agent.override(instructions=with_prompt(agent, self._prompt))
        return override
