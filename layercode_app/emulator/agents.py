"""The agents of the emulated platform, and the grants for their sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..platform.webhook_places import WEBHOOK_PLUGIN
from .protocol import Style, Trigger


@dataclass(slots=True)
class AgentSpec:
    """An agent as the platform knows it: its webhook, and how turns are taken.

    If `session_webhook_url` is set, events that need no reply, such as `session.end`, are sent there. `session_timeout`
    is in seconds.
    """

    id: str
    webhook_url: str
    secret: str
    name: str = ""
    session_webhook_url: str | None = None
    trigger: Trigger = "automatic"
    can_interrupt: bool = True
    style: Style = "session.start"
    session_timeout: float | None = None
    kept_config: Mapping[str, Any] = field(default_factory=dict)
    """The configuration that updates of the agent have set."""
    remedies: Mapping[int, str] = field(default_factory=dict)
    """What to do about a failed webhook, by status. They replace the advice for users of the `emulator` command."""

    def config(self) -> dict[str, Any]:
        """Return the configuration of the agent's sessions."""
        automatic = self.trigger == "automatic"
        # Official clients hang if the configuration has no `transcription.trigger`.
        transcription = {"trigger": self.trigger, "can_interrupt": self.can_interrupt, "automatic": automatic}
        kept = {name: value for name, value in self.kept_config.items() if name not in _OF_THE_AGENT}
        return merge({"transcription": transcription, "vad": {"enabled": False}}, kept)

    def describe(self) -> dict[str, Any]:
        """Return the agent as the REST API shows it."""
        return {
            "id": self.id,
            "name": self.name or self.id,
            "webhook_url": self.webhook_url,
            "config": {**self.kept_config, **self.config(), "plugins": self._plugins()},
        }

    def _plugins(self) -> list[Any]:
        kept = self.kept_config.get("plugins")
        others = [plugin for plugin in (kept if isinstance(kept, list) else ()) if not is_webhook(plugin)]
        return [*others, {"use": WEBHOOK_PLUGIN, "options": {"url": self.webhook_url}}]


_OF_THE_AGENT = {"plugins", "endpoint", "clients", "metadata"}
"""The parts of a configuration that are not passed on to sessions."""


def is_webhook(plugin: object) -> bool:
    """Return whether this plugin of an agent's configuration is the one that holds the webhook's URL."""
    return isinstance(plugin, dict) and plugin.get("use") == WEBHOOK_PLUGIN


@dataclass(frozen=True, slots=True)
class Grant:
    """A permission to open sessions of one conversation, until it expires or a newer grant replaces it."""

    key: str
    agent: AgentSpec
    conversation_id: str
    config: Mapping[str, Any]
    expires_at: float
    metadata: Mapping[str, Any] | None = None
    custom_metadata: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    phones: Mapping[str, str] = field(default_factory=dict)

    @property
    def common(self) -> dict[str, Any]:
        """The fields that every event of the conversation carries."""
        extras = {"metadata": self.metadata, "custom_metadata": self.custom_metadata, **self.phones}
        return {"conversation_id": self.conversation_id} | {k: v for k, v in extras.items() if v is not None}

    @property
    def trigger(self) -> Trigger:
        """How the caller takes a turn: by just speaking (`automatic`), or with a button (`push_to_talk`)."""
        return "push_to_talk" if self._transcription.get("trigger") == "push_to_talk" else "automatic"

    @property
    def can_interrupt(self) -> bool:
        """Whether a caller without push-to-talk may speak over the agent. A caller with push-to-talk always may do so."""
        return bool(self._transcription.get("can_interrupt", True))

    @property
    def _transcription(self) -> Mapping[str, Any]:
        found = self.config.get("transcription")
        return found if isinstance(found, Mapping) else {}


def merge(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Merge changes into a configuration recursively; return a new dictionary."""
    merged = dict(config)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
