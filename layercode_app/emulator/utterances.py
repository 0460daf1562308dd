"""Detect pieces of speech in a caller's audio by loudness, without IO; time is counted in samples."""

from __future__ import annotations

import math
from array import array
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from .recording import CALLER_RATE

_FRAME_BYTES = 2 * CALLER_RATE // 50
_FRAMES_PER_SECOND = 50
SILENCE_SECONDS = 0.7
"""Seconds of silence that end a piece of speech."""
LONGEST_SECONDS = 30.0
"""Maximum length of a piece of speech in seconds, after which it is split."""
_BEFORE = 15  # number of frames, up to the detection of speech, with which a piece begins
_BEGINS = 6  # minimum loud frames among the last ten to begin a piece
_LEAST = 5  # a piece with fewer loud frames is not transcribed
_QUIETEST = 200.0
_LOUDER_THAN_NOISE = 3.0


@dataclass(frozen=True, slots=True)
class Began:
    """The caller began to speak."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The caller stopped speaking; `pcm` is the piece of speech, PCM16 mono 8 kHz."""

    pcm: bytes


Found: TypeAlias = Began | Ended


class Utterances:
    """Splits audio into pieces of speech.

    If the client signals when the caller begins and stops speaking, call `begin` and `finish` at these signals. If
    `told` is true, only the client's signal begins a piece; otherwise loud audio begins one too.
    """

    def __init__(self, *, told: bool = False) -> None:
        self._always_told = told
        self._told = False
        self._rest = b""
        self._before: deque[tuple[bytes, bool]] = deque(maxlen=_BEFORE)
        self._open: bytearray | None = None
        self._loud = 0
        self._silent = 0
        self._noise = 50.0

    @property
    def speaking(self) -> bool:
        """Whether a piece of speech is open."""
        return self._open is not None

    @property
    def told(self) -> bool:
        """Whether the client will signal the end of the open piece. Otherwise, silence ends the piece."""
        return self._told

    @property
    def so_far(self) -> bytes:
        """The audio of the open piece of speech."""
        return bytes(self._open or b"")

    def feed(self, pcm: bytes) -> list[Found]:
        """Process audio, and return the pieces of speech that begin or end in it."""
        found: list[Found] = []
        audio, self._rest = self._rest + pcm, b""
        whole = len(audio) // _FRAME_BYTES * _FRAME_BYTES
        for start in range(0, whole, _FRAME_BYTES):
            found += self._frame(audio[start : start + _FRAME_BYTES])
        self._rest = audio[whole:]
        return found

    def begin(self) -> None:
        """Begin a piece of speech at the client's signal. The piece ends with `finish`."""
        self._told = True
        if self._open is None:
            self._start()

    def finish(self) -> list[Found]:
        """End the open piece of speech, and return it.

        Call this if the client signals the end, or sends no more audio. Return an empty list if no piece is open, or if
        the piece contains too little loud audio.
        """
        spoken, loud = self.so_far + self._rest, self._loud
        was_open = self._open is not None
        self._open, self._rest, self._told, self._loud = None, b"", False, 0
        self._before.clear()
        return [Ended(spoken)] if was_open and loud >= _LEAST else []

    def _frame(self, frame: bytes) -> list[Found]:
        loud = self._is_loud(frame)
        if self._open is None:
            self._before.append((frame, loud))
            if self._always_told or sum(was for _, was in list(self._before)[-10:]) < _BEGINS:
                return []
            self._start()
            return [Began()]
        self._open += frame
        self._loud += loud
        self._silent = 0 if loud else self._silent + 1
        quiet = not self._told and self._silent >= SILENCE_SECONDS * _FRAMES_PER_SECOND
        return self._cut() if quiet or len(self._open) >= LONGEST_SECONDS * 2 * CALLER_RATE else []

    def _start(self) -> None:
        self._open = bytearray(b"".join(frame for frame, _ in self._before))
        self._loud = sum(loud for _, loud in self._before)
        self._silent = 0

    def _cut(self) -> list[Found]:
        told = self._told
        ended = self.finish()
        if told:
            self.begin()
        return ended

    def _is_loud(self, frame: bytes) -> bool:
        samples = array("h", frame)
        loudness = math.sqrt(sum(sample * sample for sample in samples) / len(samples))
        loud = loudness > max(_QUIETEST, _LOUDER_THAN_NOISE * self._noise)
        if not loud:
            self._noise = 0.95 * self._noise + 0.05 * loudness
        return loud
