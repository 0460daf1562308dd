"""Turns between a client and a backend through the emulator, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json

import httpx
import pytest

from layercode_app.emulator.app import create_emulator
from layercode_app.emulator.one_event import build_event, deliver
from layercode_app.emulator.speech import Silence

from ..serving import serve
from .backend import LONG, SECRET, Backend
from .platform import READY, Platform, kinds, platform

pytestmark = pytest.mark.anyio


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


async def test_a_client_gets_json_from_a_backend_that_writes_nan() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    lines: list[str] = []
    async with platform() as p:
        async with p.client() as client:
            await client.send(READY)
            await client.listen()
            await client.say("odd")
            while (raw := json.loads(await client.socket.recv(), parse_constant=refuse))["type"] != "response.data":
                pass
        event = build_event("message", '{"text": "odd"}')
        assert await deliver(p.backend_url, SECRET, event, as_json=True, show=lines.append) == 0
    assert raw["content"] == {"mean": None, "most": None}
    assert json.loads(lines[0], parse_constant=refuse)["frame"]["content"] == raw["content"]
