"""Builders of platform events: dictionaries ready to be signed and sent, with the same ids in every run.

Keyword arguments add or override fields: `message("Hello", metadata={"user": 7}, turn_id="t-9")`. A field that is None
is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

CONVERSATION_ID = "conversation-1"
SESSION_ID = "session-1"
TURN_ID = "turn-1"
STARTED_AT = "2026-01-01T12:00:00+00:00"
ENDED_AT = "2026-01-01T12:01:00+00:00"

Event = dict[str, Any]


def message(text: str, **fields: Any) -> Event:
    """Build a `message`: the caller said something."""
    return _event("message", {"turn_id": TURN_ID, "text": text}, fields)


def session_start(**fields: Any) -> Event:
    """Build a `session.start`. It asks for a greeting; with `turn_id=None` it asks only for an acknowledgement."""
    return _event("session.start", {"turn_id": TURN_ID, "text": ""}, fields)


def welcome(**fields: Any) -> Event:
    """Build a `welcome`, the newer name of the request for a greeting."""
    return _event("welcome", {"turn_id": TURN_ID, "text": ""}, fields)


def data(content: Any, **fields: Any) -> Event:
    """Build a `data` event: the caller's page sent data."""
    return _event("data", {"turn_id": TURN_ID, "data": content}, fields)


def session_update(**fields: Any) -> Event:
    """Build a `session.update`: a recording is ready."""
    own = {"recording_status": "completed", "recording_url": "https://recordings.example/1.wav"}
    return _event("session.update", {**own, "recording_duration": 60.0}, fields)


def session_end(transcript: Sequence[tuple[str, str]] = (), **fields: Any) -> Event:
    """Build a `session.end`. The transcript consists of pairs of role and text."""
    entries = [{"role": role, "text": text, "timestamp": STARTED_AT} for role, text in transcript]
    own = {"started_at": STARTED_AT, "ended_at": ENDED_AT, "duration": 60_000, "transcript": entries}
    return _event("session.end", own, fields)


def interruption(text_heard: str, assistant_turn_id: str = TURN_ID) -> Event:
    """Build the `interruption_context` of the message after an interrupted reply."""
    return {
        "previous_turn_interrupted": True,
        "words_heard": len(text_heard.split()),
        "text_heard": text_heard,
        "assistant_turn_id": assistant_turn_id,
    }


def _event(kind: str, own: Event, fields: Event) -> Event:
    event: Event = {"type": kind, "conversation_id": CONVERSATION_ID, "session_id": SESSION_ID, **own, **fields}
    return {name: value for name, value in event.items() if value is not None}
