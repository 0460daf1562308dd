"""Sessions of the emulator begin, continue and end, with keys, transcripts, recordings and calls."""

from __future__ import annotations

import asyncio
import base64
import io
import wave
from pathlib import Path

import pytest
import websockets

from layercode_app.emulator.session import Session

from .platform import READY, kinds, platform

pytestmark = pytest.mark.anyio


async def test_a_session_ends_with_its_transcript_and_its_recording(tmp_path: Path) -> None:
    async with platform(recordings=tmp_path) as p:
        async with p.client() as client:
            await client.send(READY, {"type": "client.audio", "content": base64.b64encode(bytes(1600)).decode()})
            await client.listen()
            await client.say("hello")
            await client.listen()
            await asyncio.sleep(0.3)
        end = await p.backend.until("session.end")
        assert [(line["role"], line["text"]) for line in end["transcript"]] == [
            ("assistant", "Welcome!"),
            ("user", "hello"),
            ("assistant", "You said hello."),
        ]
        times = [line["timestamp"] for line in end["transcript"]]
        assert times == sorted(times)
        assert (end["agent_id"], end["recording_status"], end["ip_address"]) == ("a", "enabled", "127.0.0.1")
        assert end["transcription_duration_seconds"] == 0.1
        assert 0 < end["tts_duration_seconds"] < 5
        assert 300 <= end["duration"] < 60_000
        assert end["latency"] >= 0

        update = await p.backend.until("session.update")
        assert update["recording_status"] == "completed"
        wav = (await p.http.get(update["recording_url"])).content
        with wave.open(io.BytesIO(wav)) as read:
            assert read.getframerate() == 16_000
            assert read.getnframes() / 16_000 == pytest.approx(update["recording_duration"], abs=0.01)
        session = (await p.http.get(f"/v1/agents/agent/sessions/{end['session_id']}")).json()
        assert session["transcript"] == end["transcript"]
        assert (session["recording_status"], session["recording_url"]) == ("completed", update["recording_url"])
        assert session["duration_ms"] == end["duration"]


async def test_a_session_that_is_over_keeps_no_audio() -> None:
    async with platform() as p:
        async with p.client() as client:
            await client.send(READY, {"type": "client.audio", "content": base64.b64encode(bytes(1600)).decode()})
            await client.listen()
            (session,) = p.emulator.sessions.values()
            assert audio_of(session) > 1600
        await p.backend.until("session.end")
        async with asyncio.timeout(100):
            while audio_of(session):
                await asyncio.sleep(0.01)
        shown = (await p.http.get(f"/v1/agents/agent/sessions/{session.id}")).json()
        assert [line["text"] for line in shown["transcript"]] == ["Welcome!"]


def audio_of(session: Session) -> int:
    """How many bytes of sound a session holds."""
    own = sum(len(pcm) for turn in session.turns for _, pcm in turn.playback.pieces)
    return own + sum(len(pcm) for _, pcm in session._caller.pieces)


async def test_a_recording_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    async with platform(recordings=tmp_path / "file") as p:
        async with p.client() as client:
            await client.send(READY)
            await client.listen()
        update = await p.backend.until("session.update")
        assert update["recording_status"] == "failed"
        assert update["error_message"]


async def test_a_conversation_is_resumed_in_a_new_session() -> None:
    async with platform() as p:
        first = await p.authorize()
        async with p.client(first["client_session_key"]) as client:
            await client.send(READY)
            await client.listen()
        await p.backend.until("session.end")
        second = await p.authorize(conversation_id=first["conversation_id"])
        assert second["conversation_id"] == first["conversation_id"]
        assert second["client_session_key"] != first["client_session_key"]
        async with p.client(second["client_session_key"]) as client:
            await client.send(READY)
            await client.listen()
        one, two = p.backend.of("session.start")
        assert one["conversation_id"] == two["conversation_id"]
        assert one["session_id"] != two["session_id"]
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with p.client(first["client_session_key"]):
                pass
        assert refused.value.response.status_code == 401


async def test_a_wrong_key_is_refused_before_the_upgrade() -> None:
    async with platform() as p:
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with p.client("wrong"):
                pass
        assert refused.value.response.status_code == 401


async def test_a_second_connection_closes_the_older_and_may_speak_before_ready() -> None:
    async with platform() as p:
        granted = await p.authorize()
        async with p.client(granted["client_session_key"]) as older:
            await older.send(READY)
            await older.until("response.end")
            again = await p.authorize(conversation_id=granted["conversation_id"])
            async with p.client(again["client_session_key"]) as newer:
                with pytest.raises(websockets.ConnectionClosedOK):
                    await older.until("never")
                await newer.say("hello")
                assert any(m.get("content") == "hello." for m in await newer.until("response.end"))


async def test_junk_on_the_socket_is_ignored() -> None:
    async with platform() as p, p.client() as client:
        for junk in ("not json", "[]", "null", '{"type": 3}', '{"type": "client.response.text"}', b"\xff\x00"):
            await client.socket.send(junk)
        await client.send({"type": "client.audio", "content": "%%%"}, {"type": "vad_events", "event": "odd"}, READY)
        assert kinds(await client.listen())[-1] == "response.end"


async def test_a_hang_up_of_the_backend_ends_the_session() -> None:
    async with platform() as p, p.client() as client:
        await client.send(READY)
        await client.listen()
        await client.say("bye")
        await client.listen()
        with pytest.raises(websockets.ConnectionClosedOK):
            await client.until("never")
        assert (await p.backend.until("session.end"))["transcript"][-1]["text"] == "You said bye."


async def test_mutual_silence_ends_the_session() -> None:
    async with platform(session_timeout=0.2) as p, p.client() as client:
        await client.send(READY)
        await client.listen()
        with pytest.raises(websockets.ConnectionClosedOK):
            await client.until("never")
        await p.backend.until("session.end")


async def test_a_call_nobody_took_up_tells_the_backend_nothing() -> None:
    async with platform() as p:
        async with p.client():
            pass
        async with p.client() as client:
            await client.send(READY)
            await client.listen()
        await p.backend.until("session.end")
        assert len(p.backend.of("session.end")) == len(p.backend.of("session.start")) == 1


async def test_an_outbound_call_is_a_simulated_session() -> None:
    async with platform() as p:
        numbers = {"from_phone_number": "+15550100", "to_phone_number": "+15550101"}
        url = "/v1/agents/a/calls/initiate_outbound"
        response = await p.http.post(url, json={**numbers, "say": ["hello", "shop"]})
        end = await p.backend.until("session.end")
        assert end["conversation_id"] == response.json()["conversation_id"]
        assert {name: end[name] for name in numbers} == numbers
        assert [line["text"] for line in end["transcript"] if line["role"] == "user"] == ["hello", "shop"]
        assert (await p.http.post(url, json={"from_phone_number": "+1"})).status_code == 400
