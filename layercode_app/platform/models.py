"""What the platform's REST API answers, typed; fields it adds are kept, and its two shapes of a transcript read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

Timestamp: TypeAlias = "float | str | None"
"""Epoch milliseconds, or an ISO time."""
WEBHOOK_PLUGIN = "agent.webhook"


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class AgentInfo(_Answer):
    """An agent at the platform."""

    id: str
    name: str | None = None
    webhook_secret: str | None = Field(default=None, repr=False)
    config: dict[str, Any] | None = None
    own_url: str | None = Field(default=None, alias="webhook_url")

    @property
    def webhook_url(self) -> str | None:
        """Where its webhooks go: the field of that name, or the one within its configuration's plugins."""
        return self.own_url or next(self._plugin_urls(), None)

    def _plugin_urls(self) -> Iterator[str]:
        plugins = (self.config or {}).get("plugins")
        for plugin in plugins if isinstance(plugins, list) else ():
            if isinstance(plugin, dict) and plugin.get("use") == WEBHOOK_PLUGIN:
                url = (plugin.get("options") or {}).get("url")
                if isinstance(url, str) and url:
                    yield url


class Line(BaseModel):
    """One thing that was said. `latency_ms` is given where the platform gives it."""

    role: Literal["user", "assistant", "system"] | str
    text: str
    timestamp: Timestamp = None
    latency_ms: float | None = None


class SessionInfo(_Answer):
    """One session: its times, its figures (milliseconds), what was said, and whether there is a recording."""

    id: str | None = Field(default=None, validation_alias="session_id")
    conversation_id: str | None = None
    started_at: Timestamp = None
    ended_at: Timestamp = None
    duration_ms: float | None = None
    latency_ms: float | None = None
    transcript: list[Line] = []
    recording_status: str | None = None
    recording_url: str | None = None

    @field_validator("transcript", mode="before")
    @classmethod
    def _either_shape(cls, value: object) -> object:
        if value is None:
            return []
        return [line for entry in value for line in _lines(entry)] if isinstance(value, list) else value


class Granted(_Answer):
    """What a browser needs to open a session."""

    client_session_key: str = Field(repr=False)
    conversation_id: str
    config: dict[str, Any] = {}


def _lines(entry: object) -> Iterator[object]:
    """`{role, text, timestamp}` as it is; `{timestamp, user_message, assistant_message, latency_ms}` as two lines."""
    if not isinstance(entry, dict) or "role" in entry:
        yield entry
        return
    at = entry.get("timestamp")
    if entry.get("user_message"):
        yield {"role": "user", "text": entry["user_message"], "timestamp": at}
    if entry.get("assistant_message"):
        latency = entry.get("latency_ms")
        yield {"role": "assistant", "text": entry["assistant_message"], "timestamp": at, "latency_ms": latency}
