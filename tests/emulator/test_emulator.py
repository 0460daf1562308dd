"""The emulator between a client and a backend, all over real sockets."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from layercode_app.emulator.agents import AgentSpec
from layercode_app.emulator.app import create_emulator
from layercode_app.emulator.speech import Silence, duration

from ..serving import serve
from .backend import LONG, SECRET, Backend

pytestmark = pytest.mark.anyio

READY = {"type": "client.ready"}


class Client:
    """A browser's connection, without a browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            await self.socket.send(json.dumps(message))

    async def say(self, text: str) -> None:
        await self.send({"type": "client.response.text", "content": text})

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """Everything up to the next message of that type."""
        got: list[dict[str, Any]] = []
        async with asyncio.timeout(20):
            while not got or got[-1]["type"] != kind:
                raw = await self.socket.recv()
                assert len(raw) < 2**20
                got.append(json.loads(raw))
        return got

    async def listen(self) -> list[dict[str, Any]]:
        """The rest of a turn, played to its end."""
        began = asyncio.get_running_loop().time()
        got = await self.until("response.end")
        audio = (base64.b64decode(m["content"]) for m in got if m["type"] == "response.audio")
        played = began + sum(map(duration, audio)) + 0.05
        await asyncio.sleep(max(played - asyncio.get_running_loop().time(), 0))
        return got


@dataclass
class Platform:
    url: str
    emulator: Any
    backend: Backend
    http: httpx.AsyncClient

    async def authorize(self, **fields: Any) -> dict[str, Any]:
        body = json.dumps({"agent_id": "a", **fields}).encode()
        headers = {"content-type": "application/json"}
        response = await self.http.post("/v1/agents/web/authorize_session", content=body, headers=headers)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    @asynccontextmanager
    async def client(self, key: str | None = None, **fields: Any) -> AsyncIterator[Client]:
        key = key or (await self.authorize(**fields))["client_session_key"]
        address = self.url.replace("http", "ws", 1) + f"/v1/agents/web/websocket?client_session_key={key}"
        async with connect(address) as socket:
            yield Client(socket)


@asynccontextmanager
async def platform(pace: float = 20, **options: Any) -> AsyncIterator[Platform]:
    """An emulator and a backend on real sockets; speech is silence, so many times faster than spoken."""
    backend = Backend()
    async with serve(backend) as webhook:
        app = create_emulator(f"{webhook}/hook", SECRET, voice=Silence(pace=pace), **options)
        async with serve(app) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
            yield Platform(url, app.state.emulator, backend, http)


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    return [message["type"] for message in messages]


async def test_a_conversation() -> None:
    async with platform() as p, p.client(metadata={"user": "u1"}) as client:
        await client.send(READY)
        greeting = await client.listen()
        assert kinds(greeting) == ["turn.start", "response.text", "response.audio", "response.end"]
        start = p.backend.events[0]
        assert (start["type"], start["metadata"]) == ("session.start", {"user": "u1"})
        assert {message["turn_id"] for message in greeting} == {start["turn_id"]}
        assert len(base64.b64decode(greeting[2]["content"])) >= 256

        await client.say("hello")
        reply = await client.listen()
        message = p.backend.of("message")[0]
        assert reply[0] == {"type": "user.transcript", "content": "hello", "turn_id": f"user-{message['turn_id']}"}
        assert kinds(reply)[1:4] == ["turn.start", "response.text", "response.text"]
        assert [m["content"] for m in reply if m["type"] == "response.text"] == ["You said ", "hello."]
        ids = ("session_id", "conversation_id")
        assert [message[name] for name in ids] == [start[name] for name in ids]
        assert not p.backend.refused


async def test_an_interruption_closes_the_connection_and_tells_what_was_heard() -> None:
    async with platform() as p, p.client() as client:
        await client.send(READY)
        await client.listen()
        await client.say("long")
        await client.until("response.audio")
        await asyncio.sleep(0.15)
        await client.say("stop")
        await client.listen()
        first, second = p.backend.of("message")
        assert p.backend.closed == [first["turn_id"]]
        context = second["interruption_context"]
        record = p.emulator.sessions[first["session_id"]].turns[1]
        assert context["assistant_turn_id"] == first["turn_id"] == record.id
        assert context["text_heard"] == record.heard
        assert (LONG * 200).startswith(context["text_heard"])
        assert 0 < context["words_heard"] == len(context["text_heard"].split())
        await client.say("again")
        await client.listen()
        assert "interruption_context" not in p.backend.of("message")[2]


async def test_data_goes_both_ways_without_disturbing_the_turn() -> None:
    async with platform() as p, p.client() as client:
        await client.send(READY)
        await client.listen()
        await client.say("shop")
        turn = await client.listen()
        data = next(message for message in turn if message["type"] == "response.data")
        assert data["content"] == {"basket": {"bun": 2}}
        await client.say("long")
        await client.until("response.audio")
        await client.send({"type": "client.response.data", "data": {"tip": 1.0}})
        answer = (await client.until("response.data"))[-1]
        assert answer["content"] == {"got": {"tip": 1}}
        assert p.backend.closed == []


@pytest.mark.parametrize("text", ["fail", "silent", "cut"])
async def test_however_a_stream_ends_the_turn_ends(text: str) -> None:
    async with platform() as p, p.client() as client:
        await client.send(READY)
        await client.listen()
        await client.say(text)
        await client.listen()
        await client.say("hello")
        assert "response.text" in kinds(await client.listen())


async def test_a_dead_backend_ends_the_turn() -> None:
    async with serve(Backend()) as webhook:
        pass
    app = create_emulator(webhook, SECRET, voice=Silence())
    async with (
        serve(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as http,
        Platform(url, app.state.emulator, Backend(), http).client() as client,
    ):
        await client.send(READY)
        assert kinds(await client.listen()) == ["response.end"]


async def test_the_newer_style_greets_beside_a_session_webhook() -> None:
    session_backend = Backend()
    async with serve(session_backend) as url, platform(style="welcome", session_webhook_url=f"{url}/sessions") as p:
        async with p.client() as client:
            await client.send(READY)
            await client.listen()
        start = await session_backend.until("session.start")
        await session_backend.until("session.end")
        assert "turn_id" not in start
        assert [event["type"] for event in p.backend.events] == ["welcome"]
        assert p.backend.events[0]["turn_id"]


async def test_metadata_and_headers_of_the_session_are_on_every_event() -> None:
    async with platform() as p:
        headers = {"x-tenant": "t1", "layercode-signature": "t=1,v1=00", "Content-Type": "text/plain"}
        async with p.client(metadata={"m": 1}, custom_metadata={"c": 2.0}, custom_headers=headers) as client:
            await client.send(READY)
            await client.listen()
            await client.send({"type": "client.response.data", "data": None})
            await client.until("response.data")
        await p.backend.until("session.end")
        assert {event["type"] for event in p.backend.events} == {"session.start", "data", "session.end"}
        for event, seen in zip(p.backend.events, p.backend.headers, strict=True):
            assert (event["metadata"], event["custom_metadata"]) == ({"m": 1}, {"c": 2})
            assert (seen["x-tenant"], seen["content-type"]) == ("t1", "application/json")
        assert not p.backend.refused


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
        assert (end["agent_id"], end["recording_status"], end["ip_address"]) == ("agent", "enabled", "127.0.0.1")
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


async def test_what_a_client_needs_of_the_configuration() -> None:
    async with platform(trigger="push_to_talk") as p:
        config = (await p.authorize())["config"]
        assert config["transcription"]["trigger"] == "push_to_talk"
        assert config["vad"] == {"enabled": False}
        changed = await p.authorize(config={"transcription": {"trigger": "automatic", "can_interrupt": False}})
        assert changed["config"]["transcription"]["trigger"] == "automatic"
        grant = p.emulator.redeem(changed["client_session_key"])
        assert (grant.trigger, grant.can_interrupt) == ("automatic", False)


async def test_the_rest_api_of_agents() -> None:
    other = AgentSpec("other", "http://127.0.0.1:1/hook", SECRET)
    async with platform(agents=[other], api_key="test-key") as p:
        assert (await p.http.get("/v1/agents")).status_code == 400
        p.http.headers["authorization"] = "Bearer test-key"
        assert [a["id"] for a in (await p.http.get("/v1/agents")).json()["agents"]] == ["agent", "other"]
        made = await p.http.post("/v1/agents", json={})
        assert made.status_code == 201
        assert made.json()["webhook_secret"]
        url = f"/v1/agents/{made.json()['id']}"
        assert (await p.http.post(url, json={"webhook_url": "ftp://x"})).status_code == 400
        await p.http.post(url, json={"webhook_url": "http://127.0.0.1:2/new"})
        shown = (await p.http.get(url)).json()
        assert shown["config"]["plugins"][0]["options"]["url"] == shown["webhook_url"] == "http://127.0.0.1:2/new"
        for path, body in {"/v1/agents/web/authorize_session": {"agent_id": "no"}, "/v1/agents/no": None}.items():
            response = await (p.http.post(path, json=body) if body else p.http.get(path))
            assert response.status_code == 400
            assert "no" in response.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"agent_id": 3}',
        b'{"agent_id":"a","metadata":[]}',
        b'{"agent_id":"a","custom_headers":{"a b":"c"}}',
        b'{"agent_id":"a","custom_headers":{"a":"b\\nc"}}',
    ],
)
async def test_a_bad_request_is_told_what_is_wrong(body: bytes) -> None:
    async with platform() as p:
        headers = {"content-type": "application/json"}
        response = await p.http.post("/v1/agents/web/authorize_session", content=body, headers=headers)
        assert response.status_code == 400
        assert response.json()["error"]
        response = await p.http.post("/v1/agents/web/authorize_session", content=b'{"agent_id":"a"}')
        assert response.status_code == 400


@asynccontextmanager
async def fault(p: Platform, **faults: Any) -> AsyncIterator[None]:
    assert (await p.http.put("/emulator/faults", json=faults)).status_code == 200
    yield
    assert (await p.http.put("/emulator/faults", json={})).json()["duplicate"] is False


async def test_refusals_on_demand() -> None:
    async with platform() as p:
        for status in (402, 429):
            async with fault(p, authorize_status=status):
                response = await p.http.post("/v1/agents/web/authorize_session", json={"agent_id": "a"})
                assert (response.status_code, bool(response.json()["error"])) == (status, True)
        assert (await p.http.put("/emulator/faults", json={"no_such": 1})).status_code == 400


async def test_duplicate_delivery_on_demand() -> None:
    async with platform() as p, p.client() as client:
        async with fault(p, duplicate=True):
            await client.send(READY)
            greeting = await client.listen()
            await p.backend.until("session.start", 2)
        assert kinds(greeting).count("response.text") == 1
        one, two = p.backend.of("session.start")
        assert one == two


async def test_lost_webhooks_and_a_slow_network_on_demand() -> None:
    async with platform() as p, p.client() as client:
        async with fault(p, drop_webhooks=True):
            await client.send(READY)
            assert kinds(await client.listen()) == ["response.end"]
            assert p.backend.events == []
        async with fault(p, latency_ms=100):
            began = asyncio.get_running_loop().time()
            await client.say("hello")
            await client.listen()
            assert asyncio.get_running_loop().time() - began > 0.3


async def test_an_interruption_on_demand() -> None:
    async with platform() as p, p.client() as client:
        await client.send(READY)
        await client.listen()
        async with fault(p, interrupt_after_ms=150):
            await client.say("long")
            cut = await client.until("turn.end")
            assert cut[-1]["role"] == "assistant"
        await client.say("hello")
        await client.listen()
        assert p.backend.of("message")[1]["interruption_context"]["previous_turn_interrupted"] is True


async def test_the_feed_shows_everything_as_it_happens() -> None:
    async with platform() as p:
        with p.emulator.feed.subscribe() as items:
            async with p.client() as client:
                await client.send(READY)
                await client.listen()
            seen = []
            async with asyncio.timeout(20):
                async for item in items:
                    seen.append(item)
                    if item["kind"] == "webhook" and item["event"]["type"] == "session.end":
                        break
        assert [item["kind"] for item in seen if item["kind"] not in {"server", "frame"}] == [
            "session", "client", "webhook", "answer", "turn", "session", "webhook",
        ]  # fmt: skip
        assert [item["frame"]["type"] for item in seen if item["kind"] == "frame"] == ["response.tts", "response.end"]
        audio = next(i["message"] for i in seen if i["kind"] == "server" and i["message"]["type"] == "response.audio")
        assert audio["content"].endswith("bytes>")
        turn = next(item for item in seen if item["kind"] == "turn")
        assert turn["text"] == "Welcome!"
        assert all(item["session_id"] and item["conversation_id"] and item["at"] for item in seen)
