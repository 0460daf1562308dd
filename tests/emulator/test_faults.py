"""The emulator injects platform faults on demand, and its feed shows every event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from .platform import READY, Platform, kinds, platform

pytestmark = pytest.mark.anyio


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
            async with asyncio.timeout(100):
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
