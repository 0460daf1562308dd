"""Collect from the settings the limits of a turn, and the texts that are spoken when a turn fails."""

from __future__ import annotations

from dataclasses import dataclass, fields

from .table import Settings


@dataclass(frozen=True)
class Limits:
    """The limits of a turn, and the texts that are spoken when a turn fails. Times are in seconds."""

    turn_timeout: float = 120.0
    tool_timeout: float = 30.0
    first_token_timeout: float = 8.0
    piece_timeout: float = 6.0
    hedge_after: float = 0.0
    history_tokens: int = 8000
    timeout_apology: str = "Sorry, that is taking too long. Could you ask me again?"
    apology: str = "Sorry, something went wrong on my side. Could you say that again?"
    cut_answer: str = "I'm sorry, I have to stop there. What else can I do for you?"
    tool_apology: str = "Sorry, I lost my thread for a moment. How would you like to go on?"
    max_turns: int = 0
    fillers: tuple[str, ...] = ()
    """The filler texts of agents that have a model and set no filler texts themselves."""
    busy: str = "I'm sorry, I can't take that right now. Please try again in a moment."
    hook_timeout: float = 30.0
    handoff_url: str | None = None
    """The URL to which hand-offs to a person are posted. Without a URL, they are only recorded."""

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Return the limits in the settings. If `apology` is set and `tool_apology` is not, use `apology` for both."""
        given = {each.name: getattr(settings, each.name) for each in fields(cls)}
        if "tool_apology" not in settings.model_fields_set and "apology" in settings.model_fields_set:
            # The default of `tool_apology` is English, but the configured apology may be in another language.
            given["tool_apology"] = settings.apology
        return cls(**given)
