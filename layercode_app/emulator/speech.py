"""Text to PCM16 mono 16 kHz: espeak-ng where it is installed, else silence as long as the speech would be.

Nothing here blocks the event loop: espeak-ng runs as a process, and resampling in a thread.
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
"""Samples a second of the audio that clients are sent."""
MINIMUM_BYTES = 256
"""The shortest audio that the official clients play."""
_CHUNK_BYTES = RATE  # half a second
_SECONDS_PER_CHARACTER = 0.065
_PAUSES = {",": 4, ";": 4, ":": 4, ".": 8, "!": 8, "?": 8}
"""How long a mark is heard, in characters."""
SECONDS = 30.0
"""How long espeak-ng may take for one text."""
_SYNTHESES = 2
"""How many espeak-ng processes may run at a time."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Audio of a text. `word_ends` has the second at which each word of the text (as split by spaces) ends."""

    pcm: bytes
    word_ends: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """How long the audio plays."""
        return duration(self.pcm)


def duration(pcm: bytes) -> float:
    """How long PCM16 mono 16 kHz plays, in seconds."""
    return len(pcm) / 2 / RATE


def chunks(pcm: bytes) -> Iterator[bytes]:
    """Cut audio into pieces of about half a second: even, none under 256 bytes, base64 far under 1 MiB."""
    for start in range(0, len(pcm), _CHUNK_BYTES):
        rest = len(pcm) - start - _CHUNK_BYTES
        if 0 < rest < MINIMUM_BYTES:
            yield pcm[start:]
            return
        yield pcm[start : start + _CHUNK_BYTES]


class Voice(Protocol):
    """Turns text into speech."""

    async def speak(self, text: str) -> Speech:
        """Say the text. Never raises: what cannot be said is silence."""
        ...


class Silence:
    """Says nothing, for as long as saying it would take; `pace` 10 takes a tenth of that."""

    def __init__(self, *, pace: float = 1) -> None:
        self.pace = pace

    async def speak(self, text: str) -> Speech:
        """Silence as long as the text."""
        seconds = _weight(text) * _SECONDS_PER_CHARACTER / self.pace
        return timed(text, bytes(2 * math.ceil(seconds * RATE)))


class Espeak:
    """Speaks with espeak-ng in a process of its own; a text it fails on is silence."""

    def __init__(self, program: str, *, language: str = "en", words_per_minute: int = 175) -> None:
        self._command = (program, "--stdin", "--stdout", "-v", language, "-s", str(words_per_minute))
        self._slots = asyncio.Semaphore(_SYNTHESES)
        self._silence = Silence()

    async def speak(self, text: str) -> Speech:
        """Say the text, spoken marks and all."""
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
    """The voice that is wanted, else the best of this machine. Raises ConfigurationError where it is not installed."""
    program = None if wanted == "silence" else shutil.which("espeak-ng")
    if program is None and wanted == "espeak":
        raise ConfigurationError("The voice espeak is not here: expected the program espeak-ng. Install it.")
    return Espeak(program, language=language) if program else Silence()


def timed(text: str, pcm: bytes) -> Speech:
    """Give each word its share of the audio, by its length; audio that is too short for clients is padded."""
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
    """The samples of a mono PCM16 WAV at 16 kHz; empty when it is none. Sizes in a streamed header are not trusted."""
    position = wav.find(b"data", 12)
    if wav[:4] != b"RIFF" or position < 0 or len(wav) < 44:
        return b""
    channels, rate = struct.unpack_from("<HI", wav, wav.find(b"fmt ", 12) + 10)
    if channels != 1 or not rate:
        return b""
    body = wav[position + 8 :]
    return resample(body[: len(body) // 2 * 2], rate)


def resample(pcm: bytes, rate: int) -> bytes:
    """PCM16 mono at any rate to 16 kHz, by linear interpolation."""
    if rate == RATE or not pcm:
        return pcm
    source = _samples(pcm)
    shared = math.gcd(rate, RATE)
    step, per = rate // shared, RATE // shared
    target = array("h", bytes(2 * (len(source) * per // step)))
    source.append(source[-1])
    for phase in range(min(per, len(target))):
        # Every `per`-th target sample lies between the same two neighbours, `step` further on each time.
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
