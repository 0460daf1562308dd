"""Fillers: short texts that cover a silence, each spoken at most once a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ..journal.record import TTS
from .live import LiveTurn

CHARACTERS_PER_SECOND = 20
"""The maximum speed of a voice, so that the estimated end of playback is early rather than late."""


@dataclass(frozen=True)
class Filler:
    """The filler texts of an agent, and the silences after which they are spoken."""

    texts: tuple[str, ...] | None = None
    """The texts, spoken one after another; None uses the texts of the setting."""
    after: float = 1.5
    """Seconds of silence before a filler is spoken."""
    every: float | None = 3.5
    """The minimum seconds between the last words and the next filler; None: only before the first words."""


class Fillers:
    """The timer of one turn's fillers. It costs nothing per word, because it reads the frames only when it fires."""

    def __init__(self, live: LiveTurn, filler: Filler, texts: Sequence[str]) -> None:
        self._live = live
        self._filler = filler
        self._texts = list(texts)
        self._timer: asyncio.TimerHandle | None = None
        self._read = 0
        """The number of frames read so far."""
        self._last_words = 0.0
        """Milliseconds since the request at which words were last sent."""
        self._played = 0.0
        """Milliseconds since the request at which the words sent so far will have been played."""

    def start(self) -> None:
        """Start to speak fillers whenever the turn is silent."""
        self._sleep()

    def stop(self) -> None:
        """Stop speaking fillers."""
        if self._timer is not None:
            self._timer.cancel()

    def due(self) -> float | None:
        """Return when the next filler is due, in milliseconds since the request; None if there will be none."""
        if not self._texts:
            return None
        after = self._filler.after * 1000
        if not self._live.spoken.begun:
            return after
        if self._filler.every is None:
            return None
        self._read_frames()
        return max(self._last_words + self._filler.every * 1000, self._played + after)

    def _read_frames(self) -> None:
        frames = self._live.frames
        for frame in frames[self._read :]:
            if frame.type == TTS:
                self._last_words = frame.at_ms
                spoken_in = len(frame.content) * 1000 / CHARACTERS_PER_SECOND
                self._played = max(self._played, frame.at_ms) + spoken_in
        self._read = len(frames)

    def _sleep(self) -> None:
        due = self.due()
        if due is not None:
            seconds = max(due - self._live.elapsed_ms(), 0) / 1000
            self._timer = asyncio.get_running_loop().call_later(seconds, self._wake)

    def _wake(self) -> None:
        due = self.due()
        if due is None or self._over():
            return
        if self._live.elapsed_ms() >= due:
            self._speak(self._texts.pop(0))
        self._sleep()

    def _over(self) -> bool:
        """Return whether fillers are no longer needed: the reply is complete, or the turn or the call is ending."""
        live = self._live
        ending = live.ending or live.stopping is not None or live.goodbye is not None
        return ending or live.run.answered or live.hangup

    def _speak(self, text: str) -> None:
        self._live.speak(text, "filler")
        if self._live.record.impact == "nothing":
            self._live.record.impact = "filler"
