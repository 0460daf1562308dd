"""Fillers: short texts that cover a silence, each spoken at most once a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from .live import LiveTurn
from .record import TTS

CHARACTERS_PER_SECOND = 20
"""How fast a voice reads, at most: text is assumed to be played sooner rather than later."""


@dataclass(frozen=True)
class Filler:
    """What an agent says into a silence, and when."""

    texts: tuple[str, ...] | None = None
    """Spoken one after another; None takes the texts of the setting."""
    after: float = 1.5
    """Seconds of silence before a filler is spoken."""
    every: float | None = 3.5
    """Seconds between the last words and the next filler, at least; None speaks one only before the first words."""


class Fillers:
    """The timer of one turn's fillers. It costs nothing per word: the frames are read when it fires."""

    def __init__(self, live: LiveTurn, filler: Filler, texts: Sequence[str]) -> None:
        self._live = live
        self._filler = filler
        self._texts = list(texts)
        self._timer: asyncio.TimerHandle | None = None
        self._read = 0
        """How many frames were read."""
        self._last_words = 0.0
        """Milliseconds since the request at which words were last sent."""
        self._played = 0.0
        """Milliseconds since the request at which the words sent so far will have been played."""

    def start(self) -> None:
        """Speak from now on when the turn is silent."""
        self._sleep()

    def stop(self) -> None:
        """Speak no more."""
        if self._timer is not None:
            self._timer.cancel()

    def due(self) -> float | None:
        """Milliseconds since the request at which the next filler is due; None when no more will be."""
        if not self._texts:
            return None
        after = self._filler.after * 1000
        if not self._live.spoke:
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
        """Whether the silence is no longer the agent's: the reply is complete, or the turn or the call ends."""
        live = self._live
        ending = live.ending or live.stopping is not None or live.goodbye is not None
        return ending or live.answered or live.hangup

    def _speak(self, text: str) -> None:
        self._live.speak(text, "filler")
        if self._live.record.impact == "nothing":
            self._live.record.impact = "filler"
