"""The interface of an agent that answers turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import BaseModel

from ..journal.record import Json
from ..webhook import Data, Event
from .fillers import Filler
from .turn import Turn


class AgentProtocol(Protocol):
    """The interface that the turn handler needs from an agent."""

    @property
    def name(self) -> str:
        """The agent's name."""

    @property
    def fingerprint(self) -> str:
        """A short hash of agent, prompt and model."""

    @property
    def state_type(self) -> type[BaseModel] | None:
        """The Pydantic model of a conversation's state; None for an agent without state."""

    @property
    def metadata_type(self) -> type[BaseModel] | None:
        """The Pydantic model of the metadata. With None, the metadata stays a dictionary."""

    @property
    def apology(self) -> str | None:
        """The text to say when a turn fails; None means the text in the settings."""

    @property
    def filler(self) -> Filler | None:
        """The filler texts for silences; None for an agent without fillers."""

    @property
    def turn_timeout(self) -> float | None:
        """Seconds after which a turn times out; None means the value in the settings."""

    @property
    def tool_timeout(self) -> float | None:
        """Seconds that a tool call may take; None means the value in the settings."""

    @property
    def timeout_apology(self) -> str | None:
        """The text to say when a turn times out; None means the text in the settings."""

    @property
    def tool_apology(self) -> str | None:
        """The text to say when a turn fails after a tool was called; None means the text in the settings."""

    @property
    def remembers(self) -> bool:
        """Whether the agent reads the history of earlier turns."""

    @property
    def stage_names(self) -> Sequence[str]:
        """The names of the agent's stages, in order; empty for an agent without stages."""

    @property
    def sums_up(self) -> bool:
        """Whether the agent reads a running summary instead of the older turns."""

    def caller_of(self, turn: Turn[Any, Any]) -> str:
        """Return the key under which notes on the caller are kept; "" if none are kept."""

    async def answer(self, turn: Turn[Any, Any]) -> None:
        """Speak the reply to this turn."""


class EventAgentProtocol(AgentProtocol, Protocol):
    """The interface of an agent that also handles events that get no spoken answer."""

    async def answer_data(self, turn: Turn[Any, Any], event: Data) -> Json:
        """Handle data from the page, and return the JSON for the page."""

    async def notify(self, event: Event) -> None:
        """Run the hooks for an event. These hooks return nothing."""
