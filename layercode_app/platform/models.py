"""Typed answers of the platform's REST API.

Parsing is tolerant: unknown fields are kept, and an optional field that cannot be read counts as absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator

from .tolerant import Amount, Identifier, Mapping, Text, Timestamp
from .webhook_places import same_url, webhook_places


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class AgentInfo(_Answer):
    """An agent at the platform."""

    id: Identifier
    name: Text = None
    webhook_secret: Text = Field(default=None, repr=False)
    config: Mapping = None
    own_url: Text = Field(default=None, alias="webhook_url")

    @property
    def webhook_url(self) -> str | None:
        """The URL of the agent's webhook: the first URL in `webhook_places`, or None if there is none."""
        return next(iter(self.webhook_places.values()), None)

    @property
    def webhook_places(self) -> dict[str, str]:
        """The URLs of the agent's webhook, by the name of the field that holds each URL. The first takes precedence."""
        return webhook_places(self.own_url, self.config or {})

    def contradictions(self) -> dict[str, str]:
        """Return the URLs in `webhook_places` that differ from the first one. The keys are the names of the fields."""
        return {place: url for place, url in self.webhook_places.items() if not same_url(url, self.webhook_url)}


class Line(BaseModel):
    """One line of a transcript. `latency_ms` is None if the platform does not send it."""

    role: str
    text: str
    timestamp: Timestamp = None
    latency_ms: Amount = None


class SessionInfo(_Answer):
    """One session: its times, its durations in milliseconds, its transcript and the status of its recording."""

    id: Text = Field(default=None, validation_alias="session_id")
    conversation_id: Text = None
    started_at: Timestamp = None
    ended_at: Timestamp = None
    duration_ms: Amount = None
    latency_ms: Amount = None
    transcript: list[Line] = []
    recording_status: Text = None
    recording_url: Text = None

    @field_validator("transcript", mode="before")
    @classmethod
    def _either_shape(cls, value: object) -> object:
        return [line for entry in value for line in _lines(entry)] if isinstance(value, list) else []


class Granted(_Answer):
    """The data that a browser needs to open a session."""

    client_session_key: str = Field(repr=False, validation_alias=AliasChoices("client_session_key", "clientSessionKey"))
    conversation_id: Identifier = Field(validation_alias=AliasChoices("conversation_id", "conversationId"))
    config: dict[str, Any] = {}

    @field_validator("config", mode="before")
    @classmethod
    def _or_empty(cls, value: object) -> object:
        return value if isinstance(value, dict) else {}


def _lines(entry: object) -> Iterator[dict[str, Any]]:
    """Yield the lines of an entry: one for `{role, text}`, up to two for `{user_message, assistant_message}`."""
    if not isinstance(entry, dict):
        return
    at = entry.get("timestamp")
    if isinstance(entry.get("text"), str):
        yield {**entry, "role": str(entry.get("role") or "unknown")}
    if isinstance(said := entry.get("user_message"), str) and said:
        yield {"role": "user", "text": said, "timestamp": at}
    if isinstance(reply := entry.get("assistant_message"), str) and reply:
        yield {"role": "assistant", "text": reply, "timestamp": at, "latency_ms": entry.get("latency_ms")}
