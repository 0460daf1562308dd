"""A backend's reply, from the webhook to the last word played, as a state machine without IO or clock."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ..journal.record import DATA, END, ERROR, HANGUP, TTS
from .playback import Playback, Segmenter
from .protocol import Abort, Output, Speak, ToClient
from .speech import Speech, chunks

STALL = 0.25
"""Seconds to wait for the rest of a sentence before its beginning is spoken."""


@dataclass(slots=True)
class AssistantTurn:
    """One reply of the agent: the text from the backend, and the part of it that the caller heard."""

    id: str
    began: float
    said_by_user: str | None = None
    """What the caller said; None for a greeting."""
    text: str = ""
    """The complete text from the backend."""
    heard: str | None = None
    """The part of the text that was played; None while it may still grow."""
    interrupted: Literal["user", "disconnect"] | None = None
    accepted: bool = False
    """Whether the backend answered with 2xx."""
    error: str | None = None
    """Why the answer ended abnormally; None if it did not."""
    first_audio: float | None = None
    hangup: bool = False
    closed: bool = False
    """Whether the client was told that the response is over."""
    playback: Playback = field(default_factory=Playback)
    _streaming: bool = True
    _segmenter: Segmenter = field(default_factory=Segmenter)
    _making: int = 0  # segments that are being converted to audio
    _held: deque[tuple[str, Speech]] = field(default_factory=deque)
    _stalls_at: float | None = None

    @property
    def words_heard(self) -> int:
        """The number of words heard; 0 while it is unknown."""
        return len((self.heard or "").split())

    @property
    def over(self) -> bool:
        """Whether the turn is over, so that `heard` is final."""
        return self.heard is not None

    def accept(self) -> list[Output]:
        """Record that the backend answered with 2xx."""
        self.accepted = True
        return [self._message("turn.start", role="assistant")]

    def take(self, kind: str, content: Any, now: float) -> list[Output]:
        """Process one event of the backend's stream; events after the end are ignored."""
        if not self._streaming:
            return []
        if kind == TTS and isinstance(content, str) and content:
            return self._say(content, now)
        if kind == DATA:
            return [self._message(DATA, content=content)]
        if kind == HANGUP:
            self.hangup = True
        elif kind == ERROR:
            self.error = str(content)
        elif kind == END:
            return self.end_stream()
        return []

    def end_stream(self, error: str | None = None) -> list[Output]:
        """Record the end of the backend's stream, and speak the remaining text."""
        self.error = self.error or error
        if not self._streaming:
            return []
        self._streaming = False
        self._stalls_at = None
        return self._make(self._segmenter.flush())

    def spoken(self, text: str, speech: Speech) -> None:
        """Queue a segment that was converted to audio."""
        self._making -= 1
        self._held.append((text, speech))

    def advance(self, now: float, *, quiet_until: float, new_id: Callable[[], str]) -> list[Output]:
        """Do what is due: speak stalled text, play finished audio, close the response, and set `heard`.

        No audio is sent before `quiet_until`.
        """
        out: list[Output] = []
        if self._stalls_at is not None and now >= self._stalls_at:
            self._stalls_at = None
            out += self._make(self._segmenter.flush())
        while self._held and now >= quiet_until:
            out += self._play(*self._held.popleft(), now, new_id)
        if self._streaming or self._making or self._held:
            return out
        if not self.closed:
            self.closed = True
            out.append(self._message(END))
        if now >= self.playback.until:
            self.heard = self.text
        return out

    def cut(self, by: Literal["user", "disconnect"], now: float) -> list[Output]:
        """Interrupt the turn: only what has been played until `now` counts as heard."""
        out: list[Output] = [Abort(self.id)] if self._streaming else []
        self._streaming = False
        self._held.clear()
        self.interrupted = by
        self.heard = self.playback.heard(now)
        self.playback.cut(now)
        return out

    def wake_at(self, quiet_until: float) -> float | None:
        """Return the next time at which `advance` has something to do; None if there is none."""
        times = [] if self._stalls_at is None else [self._stalls_at]
        if self._held:
            times.append(quiet_until)
        if self.closed:
            times.append(self.playback.until)
        return min(times, default=None)

    def _say(self, piece: str, now: float) -> list[Output]:
        self.text += piece
        out = [self._message("response.text", content=piece), *self._make(self._segmenter.feed(piece))]
        self._stalls_at = now + STALL if self._segmenter.pending else None
        return out

    def _make(self, segments: list[str]) -> list[Output]:
        self._making += len(segments)
        return [Speak(self.id, segment) for segment in segments]

    def _play(self, text: str, speech: Speech, now: float, new_id: Callable[[], str]) -> list[Output]:
        self.first_audio = now if self.first_audio is None else self.first_audio
        self.playback.play(text, speech, now)
        pieces = (base64.b64encode(piece).decode() for piece in chunks(speech.pcm))
        return [self._message("response.audio", content=piece, delta_id=new_id()) for piece in pieces]

    def _message(self, kind: str, **fields: Any) -> Output:
        return ToClient({"type": kind, **fields, "turn_id": self.id})
