"""Convert text to PCM16 mono 16 kHz: speech if espeak-ng is installed, else silence of about the same length.

Nothing here blocks the event loop: espeak-ng runs as a process, and resampling runs in a thread.
"""

from __future__ import annotations

import asyncio
import math
import re
import shutil
import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from ..exceptions import ConfigurationError
from .program import run_program

RATE = 16_000
"""Sample rate of the audio sent to clients, in Hz."""
MINIMUM_BYTES = 256
"""The shortest audio that the official clients play."""
_CHUNK_BYTES = RATE  # half a second
_SECONDS_PER_CHARACTER = 0.065
_PAUSES = {",": 4, ";": 4, ":": 4, ".": 8, "!": 8, "?": 8}
"""The pause after each punctuation mark, as the number of characters that are spoken in the same time."""
SECONDS = 30.0
"""Timeout of espeak-ng for one text, in seconds."""
_SYNTHESES = 2
"""Maximum number of concurrent espeak-ng processes."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Audio of a text. `word_ends` has the time in seconds at which each word of the text ends."""

    pcm: bytes
    word_ends: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """Duration of the audio."""
        return duration(self.pcm)


def duration(pcm: bytes) -> float:
    """Return the duration, in seconds, of mono PCM16 audio at 16 kHz."""
    return len(pcm) / 2 / RATE


def chunks(pcm: bytes) -> Iterator[bytes]:
    """Split audio into pieces of half a second. A remainder too short for clients is added to the last piece."""
    for start in range(0, len(pcm), _CHUNK_BYTES):
        rest = len(pcm) - start - _CHUNK_BYTES
        if 0 < rest < MINIMUM_BYTES:
            yield pcm[start:]
            return
        yield pcm[start : start + _CHUNK_BYTES]


class Voice(Protocol):
    """A text-to-speech voice."""

    async def speak(self, text: str) -> Speech:
        """Return the text as speech. Never raises: text that cannot be spoken becomes silence."""
        ...


class Silence:
    """A voice that returns silence of about the length of speech. `pace` 10 makes it ten times shorter.

    `fallback` means that no speech program is installed. A client may then speak the text itself.
    """

    def __init__(self, *, pace: float = 1, fallback: bool = False) -> None:
        self.pace = pace
        self.fallback = fallback

    async def speak(self, text: str) -> Speech:
        """Return silence of the text's estimated duration."""
        seconds = _weight(text) * _SECONDS_PER_CHARACTER / self.pace
        return timed(text, bytes(2 * math.ceil(seconds * RATE)))


class Espeak:
    """A voice that runs espeak-ng as a process. A text on which it fails becomes silence."""

    def __init__(self, program: str, *, language: str = "en", words_per_minute: int = 175) -> None:
        self._command = (program, "--stdin", "--stdout", "-v", language, "-s", str(words_per_minute))
        self._slots = asyncio.Semaphore(_SYNTHESES)
        self._silence = Silence()

    async def speak(self, text: str) -> Speech:
        """Return the text as speech, or silence if espeak-ng fails."""
        if not text.strip():
            return await self._silence.speak(text)
        async with self._slots:
            wav = await self._run(text)
        pcm = await asyncio.to_thread(from_wav, wav)
        return timed(text, pcm) if pcm else await self._silence.speak(text)

    async def _run(self, text: str) -> bytes:
        try:
            done = await run_program(self._command, stdin=text.encode("utf-8", "replace"), seconds=SECONDS)
        except (OSError, TimeoutError):
            return b""
        return b"" if done.code else done.output


def pick_voice(wanted: Literal["espeak", "silence"] | None = None, *, language: str = "en") -> Espeak | Silence:
    """Return the requested voice, by default the best available. Raises ConfigurationError if it is not installed."""
    program = None if wanted == "silence" else shutil.which("espeak-ng")
    if program is None and wanted == "espeak":
        raise ConfigurationError(
            "The voice espeak needs the program espeak-ng, which is not installed. Install it, or use --voice silence."
        )
    return Espeak(program, language=language) if program else Silence(fallback=wanted is None)


def timed(text: str, pcm: bytes) -> Speech:
    """Return speech with word ends estimated from the words' lengths. Audio too short for clients is padded."""
    pcm = pcm[: len(pcm) // 2 * 2].ljust(MINIMUM_BYTES, b"\0")
    words = text.split()
    weights = [_weight(word) for word in words]
    total, length = sum(weights) or 1, duration(pcm)
    spoken, ends = 0, []
    for weight in weights:
        spoken += weight
        ends.append(length * spoken / total)
    return Speech(pcm, tuple(ends))


def _weight(text: str) -> int:
    return sum(1 + _PAUSES.get(character, 0) for character in re.sub(r"\s+", " ", text.strip()))


def from_wav(wav: bytes) -> bytes:
    """Return the samples of a mono PCM16 WAV of any rate, converted to 16 kHz; empty if it is no mono WAV.

    The sizes in the header are ignored, because a program that streams a WAV does not know them.
    """
    position = wav.find(b"data", 12)
    if wav[:4] != b"RIFF" or position < 0 or len(wav) < 44:
        return b""
    channels, rate = struct.unpack_from("<HI", wav, wav.find(b"fmt ", 12) + 10)
    if channels != 1 or not rate:
        return b""
    body = wav[position + 8 :]
    return resample(body[: len(body) // 2 * 2], rate)


def resample(pcm: bytes, rate: int) -> bytes:
    """Convert PCM16 mono from any rate to 16 kHz, by linear interpolation."""
    if rate == RATE or not pcm:
        return pcm
    source = _samples(pcm)
    shared = math.gcd(rate, RATE)
    step, per = rate // shared, RATE // shared
    target = array("h", bytes(2 * (len(source) * per // step)))
    source.append(source[-1])
    for phase in range(min(per, len(target))):
        # All target samples at a distance of `per` use the same two weights. The source samples that they mix are at
        # a distance of `step`.
        first, far = divmod(phase * step, per)
        near = per - far
        here, following = source[first:-1:step], source[first + 1 :: step]
        mixed = [(a * near + b * far) // per for a, b in zip(here, following, strict=False)]
        target[phase::per] = array("h", mixed[: len(range(phase, len(target), per))])
    return _bytes(target)


def _samples(pcm: bytes) -> array[int]:
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _bytes(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples = array("h", samples)
        samples.byteswap()
    return samples.tobytes()
