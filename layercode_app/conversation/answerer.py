"""The interface of an agent that answers turns, and the limits of a turn."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Protocol

from pydantic import BaseModel

from ..settings import Settings
from .fillers import Filler
from .turn import Turn


class Answerer(Protocol):
    """The interface of an agent that the turn handler needs."""

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
        """The Pydantic model of the metadata; None leaves the metadata a dictionary."""

    @property
    def apology(self) -> str | None:
        """The text to say when a turn fails; None uses the setting."""

    @property
    def filler(self) -> Filler | None:
        """The filler for silences; None says nothing."""

    @property
    def turn_timeout(self) -> float | None:
        """Seconds after which a turn times out; None uses the setting."""

    @property
    def tool_timeout(self) -> float | None:
        """Seconds that a tool call may take; None uses the setting."""

    @property
    def timeout_apology(self) -> str | None:
        """The text to say when a turn times out; None uses the setting."""

    @property
    def tool_apology(self) -> str | None:
        """The text to say when a turn fails after a tool was called; None uses the setting."""

    @property
    def remembers(self) -> bool:
        """Whether the agent reads the history of earlier turns."""

    async def answer(self, turn: Turn[Any, Any]) -> None:
        """Speak the reply to this turn."""


@dataclass(frozen=True)
class Limits:
    """The limits of a turn and the texts for failures; times are in seconds."""

    turn_timeout: float = 120.0
    tool_timeout: float = 30.0
    first_token_timeout: float = 8.0
    piece_timeout: float = 6.0
    history_tokens: int = 8000
    timeout_apology: str = "Sorry, that is taking too long. Could you ask me again?"
    apology: str = "Sorry, something went wrong on my side. Could you say that again?"
    cut_answer: str = "I'm sorry, I have to stop there. What else can I do for you?"
    tool_apology: str = "Sorry, I lost my thread for a moment. How would you like to go on?"
    max_turns: int = 0
    fillers: tuple[str, ...] = ()
    """The filler texts of an agent with a model whose filler sets no texts."""
    busy: str = "I'm sorry, I can't take that right now. Please try again in a moment."
    hook_timeout: float = 30.0

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Return the limits in the settings. If only `apology` is set, it is used as `tool_apology` too."""
        given = {each.name: getattr(settings, each.name) for each in fields(cls)}
        if "tool_apology" not in settings.model_fields_set and "apology" in settings.model_fields_set:
            # The default is English, and the caller may speak another language.
            given["tool_apology"] = settings.apology
        return cls(**given)
