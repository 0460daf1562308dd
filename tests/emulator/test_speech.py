"""Speech synthesis turns text into audio, and audio is mixed into a recording."""

from __future__ import annotations

import asyncio
import base64
import io
import math
import time
import wave
from array import array

import pytest

from layercode_app.emulator.recording import CallerAudio, render
from layercode_app.emulator.speech import (
    MINIMUM_BYTES,
    RATE,
    Espeak,
    Silence,
    chunks,
    duration,
    from_wav,
    pick_voice,
    resample,
    timed,
)

from ..support import need_program

pytestmark = pytest.mark.anyio
TEXT = "Welcome to Sunrise Bakery! What can I get you?"


async def test_espeak_speaks() -> None:
    voice = Espeak(need_program("espeak-ng"))
    made = await voice.speak(TEXT)
    assert 1.5 < made.seconds < 6
    assert len(made.pcm) % 2 == 0
    assert max(array("h", made.pcm)) > 1000, "it is audible"
    assert list(made.word_ends) == sorted(made.word_ends)
    assert len(made.word_ends) == 9
    assert made.word_ends[-1] == pytest.approx(made.seconds)


async def test_espeak_does_not_hold_up_the_loop() -> None:
    voice = Espeak(need_program("espeak-ng"))
    longest, last = 0.0, time.perf_counter()
    speaking = asyncio.gather(*(voice.speak(TEXT * 5) for _ in range(3)))
    while not speaking.done():
        await asyncio.sleep(0.002)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    # If `speak` blocked the event loop, the longest pause would be the time to synthesize half a minute of speech.
    assert longest < 0.5
    assert all(made.seconds > 8 for made in await speaking)


@pytest.mark.parametrize("text", ["-f /etc/hostname", "😀", " ", "", "\ud800", "<speak>", "\x00"])
async def test_odd_texts_become_audio_that_clients_can_play(text: str) -> None:
    for voice in (Espeak(need_program("espeak-ng")), Silence()):
        made = await voice.speak(text)
        assert len(made.pcm) >= MINIMUM_BYTES
        assert len(made.pcm) % 2 == 0
        assert len(made.word_ends) == len(text.split())


async def test_a_program_that_fails_is_silent() -> None:
    for program in ("/bin/false", "/no/such/program"):
        made = await Espeak(program).speak(TEXT)
        assert not any(made.pcm)
        assert made.seconds == (await Silence().speak(TEXT)).seconds


async def test_silence_is_as_long_as_the_speech_would_be() -> None:
    made = await Silence().speak(TEXT)
    assert 2 < made.seconds < 7
    assert (await Silence(pace=10).speak(TEXT)).seconds == pytest.approx(made.seconds / 10, abs=0.01)


def test_a_voice_is_always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert isinstance(pick_voice(), Silence)


@pytest.mark.parametrize("length", [0, 2, 255, 256, 15_999, 16_000, 16_002, 16_256, 100_000])
def test_chunks_are_even_and_never_too_short(length: int) -> None:
    pcm = timed("", bytes(length)).pcm
    pieces = list(chunks(pcm))
    assert b"".join(pieces) == pcm
    assert all(len(piece) % 2 == 0 and len(piece) >= MINIMUM_BYTES for piece in pieces)
    assert all(len(base64.b64encode(piece)) < 2**19 for piece in pieces)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_resampling_keeps_length_and_tone(rate: int) -> None:
    tone = array("h", (int(10_000 * math.sin(2 * math.pi * 300 * n / rate)) for n in range(rate)))
    made = array("h", resample(tone.tobytes(), rate))
    assert len(made) == RATE
    wanted = [10_000 * math.sin(2 * math.pi * 300 * n / RATE) for n in range(RATE)]
    # The very last samples have no neighbour to be interpolated towards.
    assert max(abs(a - b) for a, b in zip(made[:-4], wanted[:-4], strict=True)) < 300


@pytest.mark.parametrize("junk", [b"", b"RIFF", b"RIFF" + bytes(60), b"x" * 100])
def test_what_is_no_wav_is_empty(junk: bytes) -> None:
    assert from_wav(junk) == b""


def test_a_recording_has_the_caller_left_and_the_agent_right() -> None:
    caller = CallerAudio()
    for n in range(5):
        caller.add(base64.b64encode(array("h", [1000] * 800).tobytes()).decode(), 0.1 * n)
    caller.add("not base64!", 0.5)
    assert caller.seconds == 0.5
    assert len(caller.pieces) == 1
    agent = [(0.5, array("h", [2000] * RATE).tobytes())]
    wav = render(((at, bytes(pcm)) for at, pcm in caller.pieces), agent, 1.25)
    with wave.open(io.BytesIO(wav)) as read:
        assert (read.getnchannels(), read.getsampwidth(), read.getframerate()) == (2, 2, RATE)
        samples = array("h", read.readframes(read.getnframes()))
    left, right = samples[0::2], samples[1::2]
    assert duration(left.tobytes()) == 1.25
    assert set(left[: RATE // 2]) == {1000}
    assert set(left[RATE // 2 :]) == {0}
    assert set(right[: RATE // 2]) == {0}
    assert set(right[RATE // 2 :]) == {2000}
