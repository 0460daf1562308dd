"""Inputs and outputs of the turn manager, and the parsing of client messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .speech import Speech

Trigger: TypeAlias = Literal["automatic", "push_to_talk"]
Style: TypeAlias = Literal["session.start", "welcome"]
"""How a greeting is requested: by `session.start` with a turn id, or by the newer `welcome` after a `session.start`."""
GREETED: tuple[Style, ...] = ("session.start", "welcome")
NO_TEXT = {"text": ""}
"""The empty text of events without words. The official templates require a `text`, or add it to their history."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The client can play and record, so the session may begin."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text that the caller said or typed. `turn_id` is the id of the interim transcripts; None for a typed text."""

    content: str
    turn_id: str | None = None


@dataclass(frozen=True, slots=True)
class ClientData:
    """Data that the caller's page sent."""

    data: Any


@dataclass(frozen=True, slots=True)
class UserStarted:
    """The caller began to speak: speech was detected (`vad`), or the push-to-talk button was pressed."""

    vad: bool


@dataclass(frozen=True, slots=True)
class UserStopped:
    """The caller stopped speaking: silence was detected (`vad`), or the button was released."""

    vad: bool


@dataclass(frozen=True, slots=True)
class ReplayFinished:
    """The client has played all audio. `turn_id` is None for the official JavaScript client, which does not send it."""

    turn_id: str | None


@dataclass(frozen=True, slots=True)
class ClientAudio:
    """PCM16 mono 8 kHz from the caller's microphone, in base64."""

    content: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The client disconnected, or the platform ends the session."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The backend answered a turn's webhook with 2xx."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class BackendFrame:
    """One event of the backend's stream."""

    turn_id: str
    type: str
    content: Any = None


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The backend's answer is over; `error` is the reason if it ended abnormally."""

    turn_id: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DataAnswer:
    """The backend's plain JSON answer to the caller's data."""

    turn_id: str
    content: Any


@dataclass(frozen=True, slots=True)
class Spoken:
    """A segment of a turn was converted to audio."""

    turn_id: str
    text: str
    speech: Speech


@dataclass(frozen=True, slots=True)
class Tick:
    """The time in `TurnManager.wake_at` has been reached."""


FromClient: TypeAlias = (
    Ready | Text | ClientData | UserStarted | UserStopped | ReplayFinished | ClientAudio | Disconnected
)
FromBackend: TypeAlias = Accepted | BackendFrame | StreamClosed | DataAnswer
Input: TypeAlias = FromClient | FromBackend | Spoken | Tick


@dataclass(frozen=True, slots=True)
class ToClient:
    """A message to send to the client."""

    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Deliver:
    """An event to post to the backend, which answers with the stream of the turn."""

    turn_id: str
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DeliverData:
    """An event to post to the backend, which answers with plain JSON for the client."""

    turn_id: str
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Notify:
    """An event to post to the backend, which only acknowledges it."""

    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Abort:
    """A command to close the connection of a turn's webhook: the caller interrupted the turn or disconnected."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class Speak:
    """A command to convert a segment of a turn's text to audio. Segments are converted in the order of the commands."""

    turn_id: str
    text: str


@dataclass(frozen=True, slots=True)
class EndSession:
    """A command to end the session: the backend hung up, or both sides were silent for too long."""

    reason: Literal["hangup", "timeout"]


Output: TypeAlias = ToClient | Deliver | DeliverData | Notify | Abort | Speak | EndSession

_VAD: dict[str, FromClient] = {"vad_start": UserStarted(vad=True), "vad_end": UserStopped(vad=True)}


def parse_client(message: Mapping[str, Any]) -> FromClient | None:
    """Parse a client's message. Return None if it needs no processing, is unknown or is malformed."""
    kind, content = message.get("type"), message.get("content")
    if kind == "client.ready":
        return Ready()
    if kind == "client.response.text" and isinstance(content, str):
        return Text(content)
    if kind == "client.audio" and isinstance(content, str):
        return ClientAudio(content)
    if kind == "client.response.data":
        return ClientData(message.get("data"))
    return _parse_signal(message)


def _parse_signal(message: Mapping[str, Any]) -> FromClient | None:
    match message:
        case {"type": "vad_events", "event": str(event)}:
            return _VAD.get(event)
        case {"type": "trigger.turn.start", "role": "user"}:
            return UserStarted(vad=False)
        case {"type": "trigger.turn.end", "role": "user"}:
            return UserStopped(vad=False)
        case {"type": "trigger.response.audio.replay_finished"}:
            turn_id = message.get("turn_id")
            return ReplayFinished(turn_id if isinstance(turn_id, str) and turn_id else None)
    return None
