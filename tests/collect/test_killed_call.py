"""An e-mail address said in parts survives an interruption, a duplicate and kill -9 half way, on SQLite and on Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from layercode_app.emulator.webhooks import Received, WebhookClient
from layercode_app.exceptions import DeliveryError
from layercode_app.journal.stores import create_store

from ..calling import Caller
from ..redis_server import RedisServer
from ..server_process import SECRET, ServerProcess

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/journal.sqlite3"
        return
    redis = RedisServer(tmp_path / "redis")
    redis.start()
    yield redis.url
    redis.stop()


@pytest.fixture
def server(store: str, tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(store, tmp_path, LAYERCODE_FILLER="off").start()
    yield server
    server.stop()


@asynccontextmanager
async def speaking(caller: Caller, text: str, turn_id: str) -> AsyncIterator[AsyncIterator[Received]]:
    """Deliver a message, and wait for the first spoken word. Yield the frames after it.

    The agent speaks only after its tool has run.
    """
    ids = {"conversation_id": caller.conversation_id, "session_id": caller.session_id, "turn_id": turn_id}
    async with caller.client.deliver({"type": "message", "text": text, **ids}) as answer:
        frames = answer.frames()
        async for frame in frames:
            if frame.type == "response.tts":
                break
        yield frames


async def email_of(store_url: str) -> dict[str, object]:
    store = create_store(store_url)
    await store.open()
    turns = [turn async for turn in store.turns(conversation_id="c")]
    await store.close()
    state = max(turns, key=lambda turn: turn.started_at).state
    assert state is not None
    return dict(state)


async def test_an_address_in_parts_survives(server: ServerProcess, store: str) -> None:
    async with WebhookClient(f"{server.url}/api/agents/intake", SECRET) as client:
        caller = Caller(client, "c")
        # The caller goes on while the first part is read back, and the platform delivers the second part twice.
        async with speaking(caller, "ann dot smith at", "t1"):
            twice = await asyncio.gather(*[caller.say("gmail", turn_id="t2") for _ in range(2)])
        for reply in twice:
            assert reply.spoken == "I have ann dot smith at gmail dot com. Is that right?"
            assert reply.types.count("response.end") == 1
        assert (await caller.say("gmail", turn_id="t2")).spoken == twice[0].spoken

        # Kill the server when the caller has said the first half of another address, and the agent reads it back.
        async with speaking(caller, "no, it's bob dot", "t3") as frames:
            await asyncio.to_thread(server.kill)
            with pytest.raises(DeliveryError):
                async for _ in frames:
                    pass
        await asyncio.to_thread(server.start)
        again = await caller.say("no, it's bob dot", turn_id="t3")
        assert again.types[-1] == "response.end"
        assert (await caller.say("jones at example dot com")).spoken == (
            "I have bob dot jones at example dot com. Is that right?"
        )
        assert (await caller.say("yes")).spoken == "Thank you."
    state = await email_of(store)
    assert state["email"] == "bob.jones@example.com"
