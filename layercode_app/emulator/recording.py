"""The recording of a session: a 16 kHz WAV with the caller in the left channel and the agent in the right channel.

The agent's audio is what the caller heard: it ends where the caller interrupted.
"""

from __future__ import annotations

import base64
import io
import wave
from array import array
from collections.abc import Iterable

from .speech import RATE, resample

CALLER_RATE = 8_000
"""Sample rate of the audio that clients send, in Hz."""
LONGEST = 1_800
"""Maximum length of a recording, in seconds."""
_ADJACENT = 0.5


class CallerAudio:
    """The audio of the caller's microphone, in pieces with start times."""

    def __init__(self) -> None:
        self.pieces: list[tuple[float, bytearray]] = []
        self._samples = 0

    @property
    def seconds(self) -> float:
        """Seconds of audio received."""
        return self._samples / CALLER_RATE

    def add(self, content: str, now: float) -> bytes:
        """Add a message's base64 audio, and return it decoded; empty if it is malformed."""
        try:
            pcm = base64.b64decode(content, validate=True)
        except ValueError:
            return b""
        pcm = pcm[: len(pcm) // 2 * 2]
        self._keep(pcm, now)
        return pcm

    def _keep(self, pcm: bytes, now: float) -> None:
        self._samples += len(pcm) // 2
        if self.seconds > LONGEST:
            return
        if self.pieces:
            start, last = self.pieces[-1]
            if now - (start + len(last) / 2 / CALLER_RATE) < _ADJACENT:
                last += pcm
                return
        self.pieces.append((now, bytearray(pcm)))

    def forget(self) -> None:
        """Free the audio. `seconds` still returns the duration of all audio received."""
        self.pieces.clear()


def render(caller: Iterable[tuple[float, bytes]], agent: Iterable[tuple[float, bytes]], seconds: float) -> bytes:
    """Return the WAV of a session. Each piece comes with its start, in seconds from the session's start."""
    length = int(min(max(seconds, 0), LONGEST) * RATE)
    both = array("h", bytes(4 * length))
    both[0::2] = _track(((at, resample(bytes(pcm), CALLER_RATE)) for at, pcm in caller), length)
    both[1::2] = _track(agent, length)
    target = io.BytesIO()
    with wave.open(target, "wb") as wav:
        wav.setnchannels(2)
        wav.setsampwidth(2)
        wav.setframerate(RATE)
        wav.writeframes(both.tobytes())
    return target.getvalue()


def _track(pieces: Iterable[tuple[float, bytes]], length: int) -> array[int]:
    track = array("h", bytes(2 * length))
    for at, pcm in pieces:
        start = max(int(at * RATE), 0)
        samples = array("h", pcm)[: max(length - start, 0)]
        track[start : start + len(samples)] = samples
    return track
