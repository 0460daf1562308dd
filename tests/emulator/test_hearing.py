"""With --stt, the emulator transcribes the caller's microphone.

Without --stt, the caller's first sound is answered by a transcript that says that speech recognition is off.
"""

from __future__ import annotations

import asyncio
import base64
import io
import math
import sys
import wave
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercode_app.emulator import hearing, transcription, utterances
from layercode_app.emulator.hearing import FAILED, OFF
from layercode_app.emulator.transcription import (
    ProgramTranscriber,
    Transcriber,
    TranscriptionError,
    pick_transcriber,
    to_wav,
    words_in,
)
from layercode_app.emulator.utterances import Began, Ended, Utterances
from layercode_app.exceptions import ConfigurationError

from ..dev.serving import dev_server
from ..serving import serve
from .platform import READY, Client, Platform, kinds, platform

pytestmark = pytest.mark.anyio

RATE = 8000


def tone(seconds: float, loudness: int = 6000) -> bytes:
    return array("h", (int(loudness * math.sin(i * 0.3)) for i in range(int(seconds * RATE)))).tobytes()


def silence(seconds: float) -> bytes:
    return bytes(2 * int(seconds * RATE))


def messages(pcm: bytes) -> list[dict[str, Any]]:
    """Split audio into the messages that a client sends. Each message holds 100 ms."""
    pieces = [pcm[start : start + 1600] for start in range(0, len(pcm), 1600)]
    return [{"type": "client.audio", "content": base64.b64encode(piece).decode()} for piece in pieces]


# --- pieces of speech


def test_speech_is_cut_out_of_silence() -> None:
    found = Utterances().feed(silence(1) + tone(0.5) + silence(1) + tone(1) + silence(1))
    assert [type(one) for one in found] == [Began, Ended, Began, Ended]
    lengths = [len(one.pcm) / 2 / RATE for one in found if isinstance(one, Ended)]
    assert lengths[0] == pytest.approx(0.5 + 0.18 + utterances.SILENCE_SECONDS, abs=0.05)
    assert lengths[1] - lengths[0] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("sound", [silence(3), tone(3, 100), silence(1) + tone(0.05) + silence(1)])
def test_silence_noise_and_a_click_are_no_speech(sound: bytes) -> None:
    heard = Utterances()
    assert heard.feed(sound) + heard.finish() == []


def test_a_client_that_tells_itself_is_believed() -> None:
    heard = Utterances(told=True)
    assert heard.feed(tone(1)) == []
    heard.begin()
    assert heard.feed(tone(0.5) + silence(2) + tone(0.5)) == []
    (ended,) = heard.finish()
    assert isinstance(ended, Ended)
    assert len(ended.pcm) / 2 / RATE == pytest.approx(3.3, abs=0.02)
    assert heard.finish() == []


def test_endless_speech_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utterances, "LONGEST_SECONDS", 2.0)
    found = Utterances().feed(tone(7))
    assert [type(one) for one in found] == [Began, Ended] * 3 + [Began]
    assert max(len(one.pcm) for one in found if isinstance(one, Ended)) <= 2 * 2 * RATE


@given(st.lists(st.integers(0, 700), max_size=30), st.binary(min_size=2000, max_size=2000))
@pytest.mark.slow
def test_pieces_of_any_size_are_the_same_audio(sizes: list[int], noise: bytes) -> None:
    sound = tone(0.3) + noise + silence(0.8) + tone(0.2)
    whole, pieces, start = Utterances().feed(sound), Utterances(), 0
    found = []
    for size in [*sizes, len(sound)]:
        found += pieces.feed(sound[start : start + 2 * size])
        start += 2 * size
    assert found == whole


# --- transcribers


WAV = to_wav(tone(0.2), 16_000)


def program(folder: Path, text: str) -> str:
    path = folder / "recognise.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def picked(stt: str, **given: Any) -> Transcriber:
    found = pick_transcriber(stt, **given)
    assert found is not None
    return found


async def test_a_program_reads_the_wav_on_stdin_or_as_a_file(tmp_path: Path) -> None:
    command = program(
        tmp_path, f'cat ${{1:--}} > {tmp_path}/got.wav; echo "[00:00.0 --> 00:01.0]  two buns"; echo please'
    )
    for stt in (command, f"{command} {{wav}}"):
        (tmp_path / "got.wav").unlink(missing_ok=True)
        assert await picked(stt).transcribe(WAV) == "two buns please"
        assert (tmp_path / "got.wav").read_bytes() == WAV


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo no model >&2; exit 3", "recognise.sh ended with exit code 3: 'no model'"),
        ("sleep 60", "took longer than"),
    ],
)
async def test_a_program_that_fails_says_why(
    tmp_path: Path, text: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription, "SECONDS", 0.3 if "sleep" in text else 20.0)
    with pytest.raises(TranscriptionError, match=reason):
        await picked(program(tmp_path, text)).transcribe(WAV)


async def test_a_program_that_is_not_waited_for_is_ended(tmp_path: Path) -> None:
    transcribing = asyncio.create_task(picked(program(tmp_path, f"echo > {tmp_path}/began; sleep 60")).transcribe(WAV))
    async with asyncio.timeout(100):
        while not (tmp_path / "began").exists():
            await asyncio.sleep(0.005)
        transcribing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await transcribing


class Service:
    """A stand-in for OpenAI's transcription API, as far as the emulator uses it."""

    def __init__(
        self, status: int = 200, body: bytes = b'{"text": " Two buns. "}', kind: bytes = b"application/json"
    ) -> None:
        self.answer = status, body, kind
        self.asked: list[tuple[str, dict[str, str], bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((scope["path"], headers, body))
        status, answer, kind = self.answer
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": answer})


@pytest.mark.parametrize(
    ("path", "asked"),
    [("", "/v1/audio/transcriptions"), ("/v1/", "/v1/audio/transcriptions"), ("/inference", "/inference"),
     ("/v1/audio/transcriptions", "/v1/audio/transcriptions")],
)  # fmt: skip
async def test_a_service_is_asked_as_openai_is(path: str, asked: str) -> None:
    service = Service()
    async with serve(service, lifespan="off") as url:
        transcriber = picked(url + path, key="test-key", model="large")
        assert await transcriber.transcribe(WAV) == "Two buns."
        await transcriber.aclose()
    ((got, headers, body),) = service.asked
    assert (got, headers["authorization"]) == (asked, "Bearer test-key")
    assert WAV in body
    assert b'name="model"\r\n\r\nlarge' in body
    assert b'filename="speech.wav"' in body


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        (Service(401, b'{"error": "key"}'), "answered 401: .*key"),
        (Service(body=b"<html>"), "answered without a `text`: '<html>'"),
        (Service(body=b'{"text": 5}'), "answered without a `text`"),
    ],
)
async def test_a_service_that_fails_says_why(service: Service, reason: str) -> None:
    async with serve(service, lifespan="off") as url:
        transcriber = picked(url)
        with pytest.raises(TranscriptionError, match=reason):
            await transcriber.transcribe(WAV)
        await transcriber.aclose()


async def test_a_service_that_is_not_there_says_so() -> None:
    transcriber = picked("http://127.0.0.1:1")
    with pytest.raises(TranscriptionError, match=r"127\.0\.0\.1:1/v1/audio/transcriptions gave no answer"):
        await transcriber.transcribe(WAV)
    await transcriber.aclose()


async def test_plain_text_is_taken_as_it_is() -> None:
    async with serve(Service(body=b"two buns\n", kind=b"text/plain; charset=utf-8"), lifespan="off") as url:
        transcriber = picked(url)
        assert await transcriber.transcribe(WAV) == "two buns"
        await transcriber.aclose()


@pytest.mark.parametrize("text", ["[BLANK_AUDIO]", " (silence) \n", "[00:00:00.000 --> 00:00:02.000]  [BLANK_AUDIO]\n"])
def test_marks_of_silence_are_no_words(text: str) -> None:
    assert words_in(text) == ""


@pytest.mark.parametrize(
    ("stt", "reason"),
    [("no-such-program -x", "'no-such-program', which is not installed"), ("'open", "is not a valid command: No closing"),
     ("http://", "must begin with http")],
)  # fmt: skip
def test_what_cannot_work_is_refused_at_once(stt: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        pick_transcriber(stt)
    assert pick_transcriber(None) is pick_transcriber(" ") is None


# --- a call


@asynccontextmanager
async def heard_by(
    transcriber: Transcriber | None, **options: Any
) -> AsyncIterator[tuple[Platform, Client, list[str]]]:
    lines: list[str] = []
    async with platform(transcriber=transcriber, notices=lines.append, **options) as p, p.client() as client:
        await client.send(READY)
        await client.listen()
        yield p, client, lines


async def test_without_recognition_the_first_sound_is_answered_by_a_transcript() -> None:
    async with heard_by(None) as (p, client, lines):
        await client.send(*messages(silence(0.3)))
        got = await client.until("user.transcript")
        await client.say("typed")
        later = await client.until("response.end")
        assert [event["text"] for event in p.backend.of("message")] == ["typed"]
    assert kinds(got) == ["user.transcript.delta", "user.transcript"]
    assert {message["content"] for message in got} == {OFF}
    assert got[0]["delta_counter"] == 0
    assert OFF not in [message.get("content") for message in later]
    assert [OFF in line for line in lines] == [True]


async def test_what_is_said_is_a_message_with_its_interim_transcripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "INTERIM_SECONDS", 0.3)
    service = Service()
    async with serve(service, lifespan="off") as url, heard_by(picked(url)) as (p, client, lines):
        for message in messages(silence(0.3) + tone(1.0)):
            await client.send(message)
        interim = (await client.until("user.transcript.interim_delta"))[-1]
        for message in messages(silence(1)):
            await client.send(message)
        got = [interim, *await client.listen()]
        event = await p.backend.until("message")
    said = [m for m in got if m["type"].startswith("user.transcript")]
    assert kinds(said)[-2:] == ["user.transcript.delta", "user.transcript"]
    assert {m["type"] for m in said[:-2]} == {"user.transcript.interim_delta"}
    assert {(m["content"], m["turn_id"]) for m in said} == {("Two buns.", f"user-{event['turn_id']}")}
    assert {m["delta_counter"] for m in said[:-1]} == {0}
    assert event["text"] == "Two buns."
    assert "response.audio" in kinds(got)
    with wave.open(io.BytesIO(service.asked[-1][2].partition(b"audio/wav\r\n\r\n")[2])) as read:
        assert (read.getframerate(), read.getnchannels(), read.getsampwidth()) == (16_000, 1, 2)
    assert lines == []


@pytest.mark.slow
async def test_speech_interrupts_and_a_client_that_falls_silent_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "SILENCE_SECONDS", 0.05)
    async with serve(Service(), lifespan="off") as url, heard_by(picked(url), pace=1) as (p, client, _):
        await client.say("long")
        await client.until("response.audio")
        await client.send(*messages(tone(0.5)))
        event = await p.backend.until("message", 2)
    assert event["text"] == "Two buns."
    assert event["interruption_context"]["previous_turn_interrupted"]


async def test_push_to_talk_is_transcribed_when_the_button_is_let_go(tmp_path: Path) -> None:
    stt = program(tmp_path, "cat > /dev/null; echo one cake")
    async with heard_by(picked(stt), trigger="push_to_talk") as (p, client, _):
        await client.send({"type": "trigger.turn.start", "role": "user"}, *messages(tone(0.5) + silence(1) + tone(0.3)))
        await client.send({"type": "trigger.turn.end", "role": "user"})
        assert (await p.backend.until("message"))["text"] == "one cake"
        assert len(p.backend.of("message")) == 1


async def test_vad_events_of_the_client_cut_the_speech(tmp_path: Path) -> None:
    async with heard_by(picked(program(tmp_path, "cat > /dev/null; echo one cake"))) as (p, client, _):
        await client.send({"type": "vad_events", "event": "vad_start"}, *messages(tone(0.4)))
        await client.send({"type": "vad_events", "event": "vad_end"})
        assert (await p.backend.until("message"))["text"] == "one cake"


async def test_a_failure_is_shown_to_the_caller_and_told_with_its_reason(tmp_path: Path) -> None:
    async with heard_by(picked(program(tmp_path, "echo no model >&2; exit 3"))) as (p, client, lines):
        await client.send(*messages(tone(0.5) + silence(1)))
        got = await client.until("user.transcript")
        assert p.backend.of("message") == []
    assert got[-1]["content"] == FAILED
    assert "exit code 3: 'no model'" in lines[0]


async def test_silence_is_no_message(tmp_path: Path) -> None:
    async with heard_by(picked(program(tmp_path, "cat > /dev/null; echo '[BLANK_AUDIO]'"))) as (p, client, lines):
        await client.send(*messages(tone(0.5) + silence(1)))
        await client.until("turn.end")
        await client.say("typed")
        await client.until("response.end")
        assert [event["text"] for event in p.backend.of("message")] == ["typed"]
    assert lines == []


async def test_in_dev_too(tmp_path: Path) -> None:
    transcriber = ProgramTranscriber([program(tmp_path, "cat > /dev/null; echo one cake")])
    got: list[dict[str, Any]] = []
    async with dev_server(tmp_path, transcriber=transcriber) as app:
        session = app.emulator.open(app.emulator.authorize("shop"), send=got.append, hang_up=lambda _: None)
        session.receive(READY)
        for message in messages(tone(0.5) + silence(1)):
            session.receive(message)
        async with asyncio.timeout(100):
            while "user.transcript" not in kinds(got):
                await asyncio.sleep(0.005)
    assert next(m for m in got if m["type"] == "user.transcript")["content"] == "one cake"


def test_the_option_and_the_setting_are_both_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from layercode_app.dev.serve import DevOptions

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAYERCODE_STT", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("LAYERCODE_STT_KEY", "test-key")
    assert DevOptions().settings().stt == "http://127.0.0.1:9/v1"
    assert DevOptions(stt=sys.executable).settings().stt == sys.executable
    assert isinstance(transcription.transcriber_of(DevOptions().settings()), transcription.ServiceTranscriber)
