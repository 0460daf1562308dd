"""The report of a session, for `session.end`, `session.update` and the REST API."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from .agents import Grant
from .turn import AssistantTurn


class Report:
    """The report of one session. `started_at` and `ended_at` are in epoch seconds.

    The times in turns are times of the session's clock; `wall` converts them to epoch seconds.
    """

    def __init__(self, grant: Grant, session_id: str, *, recorded: bool, ip_address: str) -> None:
        self.started_at = time.time()
        self._began = time.monotonic()
        self.ended_at: float | None = None
        """The time of the end; None while the session is open. Never before `started_at`: the clock is monotonic."""
        self.recording_status = "in_progress" if recorded else "not_available"
        self.recording_url: str | None = None
        self._grant, self._session_id = grant, session_id
        self._recorded = recorded
        self._ip_address = ip_address

    @property
    def seconds(self) -> float:
        """The session's duration in seconds. If the session is still open, the time since it began."""
        return (self.ended_at or self._now()) - self.started_at

    def end(self) -> None:
        """Record the end of the session."""
        self.ended_at = self._now()

    def _now(self) -> float:
        return self.started_at + (time.monotonic() - self._began)

    def session_end(
        self, turns: Sequence[AssistantTurn], wall: Callable[[float], float], heard_seconds: float
    ) -> dict[str, Any]:
        """Return the `session.end` event. `heard_seconds` is the duration of the caller's audio."""
        return {
            "type": "session.end",
            "agent_id": self._grant.agent.id,
            "started_at": _iso(self.started_at),
            "ended_at": _iso(self.ended_at or self._now()),
            "duration": round(self.seconds * 1000),
            "transcription_duration_seconds": round(heard_seconds, 3),
            "tts_duration_seconds": round(sum(turn.playback.sent_seconds for turn in turns), 3),
            "latency": latency_ms(turns),
            "ip_address": self._ip_address,
            "country_code": None,
            "recording_status": "enabled" if self._recorded else "disabled",
            "transcript": transcript(turns, wall),
        }

    def recording_completed(self, url: str, seconds: float) -> dict[str, Any]:
        """Record that the recording is ready, and return its `session.update` event."""
        self.recording_status, self.recording_url = "completed", url
        return {
            "type": "session.update",
            "recording_status": "completed",
            "recording_url": url,
            "recording_duration": round(seconds, 3),
        }

    def recording_failed(self, reason: str) -> dict[str, Any]:
        """Record that the recording failed, and return its `session.update` event."""
        self.recording_status = "not_available"
        return {"type": "session.update", "recording_status": "failed", "error_message": reason}

    def describe(self, turns: Sequence[AssistantTurn], wall: Callable[[float], float]) -> dict[str, Any]:
        """Return the session as the REST API shows it."""
        return {
            "session_id": self._session_id,
            "agent_id": self._grant.agent.id,
            "conversation_id": self._grant.conversation_id,
            "started_at": _iso(self.started_at),
            "ended_at": _iso(self.ended_at) if self.ended_at else None,
            "duration_ms": round(self.seconds * 1000),
            "latency_ms": latency_ms(turns),
            "transcript": transcript(turns, wall),
            "recording_status": self.recording_status,
            "recording_url": self.recording_url,
        }


def transcript(turns: Sequence[AssistantTurn], wall: Callable[[float], float]) -> list[dict[str, Any]]:
    """Return the transcript of these turns: what the caller said, and what the caller heard of the agent's replies.

    If a reply is still being played, the transcript has all the text that the backend has sent for it so far, even if
    the caller has not heard all of it. `wall` converts a time of a turn to epoch seconds. Each `timestamp` of the
    transcript is in epoch milliseconds.
    """
    lines = []
    for turn in turns:
        if turn.said_by_user is not None:
            lines.append(("user", turn.said_by_user, turn.began))
        heard = turn.text if turn.heard is None else turn.heard
        if heard.strip():
            lines.append(("assistant", heard, turn.began if turn.first_audio is None else turn.first_audio))
    return [{"role": role, "text": text, "timestamp": round(wall(at) * 1000)} for role, text, at in lines]


def latency_ms(turns: Sequence[AssistantTurn]) -> int | None:
    """Return the mean milliseconds from a turn's start to the agent's first audio; None without audio."""
    waits = [turn.first_audio - turn.began for turn in turns if turn.first_audio is not None]
    return round(1000 * sum(waits) / len(waits)) if waits else None


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
