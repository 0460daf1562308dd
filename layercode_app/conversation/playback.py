"""Estimate how much of a running turn has been played to the caller, and speak the progress of slow tasks."""

from __future__ import annotations

from ..blank import is_blank
from ..journal.record import TTS
from .live import LiveTurn

CHARACTERS_PER_SECOND = 20
"""The maximum speed of a voice, so that the estimated end of playback is early rather than late."""
MOST_AHEAD_MS = 2000
"""Maximum milliseconds of unplayed speech before a progress text. With more, the text would be heard too late."""


class Playback:
    """The times of a turn's spoken frames. New frames are read only when `catch_up` is called, not word by word."""

    def __init__(self, live: LiveTurn) -> None:
        self._live = live
        self._read = 0
        """The number of frames read so far."""
        self.last_words = 0.0
        """The time when words were last sent, in milliseconds since the request."""
        self.played = 0.0
        """The time when all words sent so far will have been played, in milliseconds since the request."""

    def catch_up(self) -> None:
        """Read the frames that were added since the last call."""
        frames = self._live.frames
        for frame in frames[self._read :]:
            if frame.type == TTS:
                self.last_words = frame.at_ms
                spoken_in = len(frame.content) * 1000 / CHARACTERS_PER_SECOND
                self.played = max(self.played, frame.at_ms) + spoken_in
        self._read = len(frames)


def was_said(live: LiveTurn, text: str) -> bool:
    """Return whether this turn has already spoken this text as a separate frame.

    A longer frame that contains the text does not count.
    """
    return any(frame.type == TTS and frame.content.strip() == text.strip() for frame in live.frames)


def say_progress(live: LiveTurn, text: str) -> None:
    """Speak a progress text, unless it was said before, the reply is complete, or too much speech is still unplayed."""
    over = live.ending or live.stopping is not None or live.run.answered
    if over or is_blank(text) or was_said(live, text):
        return
    playback = Playback(live)
    playback.catch_up()
    if playback.played - live.elapsed_ms() <= MOST_AHEAD_MS:
        live.spoken.begin_segment()
        live.speak(text, "filler")
