"""Two servers on two hosts share one Redis or PostgreSQL, and either can continue a conversation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from layercode_app.emulator.webhooks import Received, WebhookClient
from layercode_app.journal.record import Status
from layercode_app.journal.stores import create_store

from ..calling import Caller, new_turn
from ..journals import SERVERS
from ..postgres_server import PostgresServer
from ..redis_server import RedisServer
from ..server_process import SECRET, ServerProcess

pytestmark = pytest.mark.anyio

Shared: TypeAlias = RedisServer | PostgresServer

APOLOGY = "Sorry, the test apologises."


@pytest.fixture(scope="module", params=SERVERS)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """The journal's server, which may be killed."""
    server = made(request.param, tmp_path_factory.mktemp("shared"))
    server.start()
    yield server
    server.stop()


def made(kind: str, folder: Path) -> Shared:
    return RedisServer(folder, cluster=False) if kind == "redis" else PostgresServer()


@pytest.fixture(scope="module")
def servers(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ServerProcess]]:
    folder = tmp_path_factory.mktemp("hosts")
    started = [ServerProcess(shared.url, folder, LAYERCODE_APOLOGY=APOLOGY).start() for _ in range(2)]
    yield started
    for server in started:
        server.stop()


@pytest.fixture
async def callers(servers: list[ServerProcess]) -> AsyncIterator[list[Caller]]:
    """Yield two callers of the same conversation, one at each server."""
    conversation = f"conversation-{time.time_ns()}"
    async with AsyncExitStack() as stack:
        clients = [WebhookClient(f"{server.url}/api/agents/talker", SECRET) for server in servers]
        yield [Caller(await stack.enter_async_context(client), conversation) for client in clients]


async def listen(
    caller: Caller, turn_id: str, text: str, started: asyncio.Event, words: int = 1 << 30
) -> list[Received]:
    """Deliver a message, and return the frames of its turn. After `words` frames, hang up.

    The event `started` is set when the first frame arrives.
    """
    event = {"type": "message", "text": text, "turn_id": turn_id}
    ids = {"conversation_id": caller.conversation_id, "session_id": caller.session_id}
    heard: list[Received] = []
    async with caller.client.deliver(event | ids) as answer:
        async for frame in answer.frames():
            heard.append(frame)
            started.set()
            if len(heard) >= words:
                break
    return heard


def spoken(frames: list[Received]) -> str:
    return "".join(frame.content for frame in frames if frame.type == "response.tts")


async def test_a_conversation_that_moves_on_every_turn_keeps_its_history(callers: list[Caller]) -> None:
    words = [f"word-{number}" for number in range(10)]
    for number, word in enumerate(words):
        reply = await callers[number % 2].say(word)
        assert reply.spoken == " ".join(words[: number + 1])


async def test_a_new_message_on_one_server_stops_the_turn_on_the_other(callers: list[Caller], shared: Shared) -> None:
    a, b = callers
    for _ in range(5):
        started, turn_id = asyncio.Event(), new_turn()
        running = asyncio.create_task(listen(a, turn_id, "say 200", started))
        await started.wait()
        replying = asyncio.create_task(b.say("hello"))
        frames = await running
        assert len(frames) < 200, "the turn was stopped before its end"
        assert frames[-1].type == "response.end"
        assert (await replying).spoken.endswith("hello")
        store = create_store(shared.url)
        await store.open()
        stopped = await store.get(a.conversation_id, turn_id)
        await store.close()
        assert stopped is not None
        assert stopped.status is Status.SUPERSEDED
        assert stopped.spoken_text == spoken(frames)


async def test_a_duplicate_on_the_other_server_hears_all_of_it_live(callers: list[Caller]) -> None:
    a, b = callers
    started, followed, turn_id = asyncio.Event(), asyncio.Event(), new_turn()
    first = asyncio.create_task(listen(a, turn_id, "say 30", started))
    await started.wait()
    second = asyncio.create_task(listen(b, turn_id, "say 30", followed))
    await asyncio.wait_for(followed.wait(), 100)
    assert not first.done()
    assert spoken(await second) == spoken(await first) == "".join(f"{number} " for number in range(30))


async def test_a_duplicate_on_the_other_server_hears_all_of_it_when_the_first_hangs_up(callers: list[Caller]) -> None:
    a, b = callers
    started, followed, turn_id = asyncio.Event(), asyncio.Event(), new_turn()
    first = asyncio.create_task(listen(a, turn_id, "say 30", started, words=12))
    await started.wait()
    second = asyncio.create_task(listen(b, turn_id, "say 30", followed))
    await first
    assert spoken(await second) == "".join(f"{number} " for number in range(30))


async def test_a_new_message_stops_a_turn_that_this_server_only_follows(callers: list[Caller]) -> None:
    a, b = callers
    started, followed, turn_id = asyncio.Event(), asyncio.Event(), new_turn()
    first = asyncio.create_task(listen(a, turn_id, "say 100", started))
    await started.wait()
    second = asyncio.create_task(listen(b, turn_id, "say 100", followed))
    await asyncio.wait_for(followed.wait(), 100)
    assert (await b.say("hello")).spoken.endswith("hello")
    assert len(await first) < 100, "the turn was stopped before its end"
    assert spoken(await first) == spoken(await second)


async def test_a_third_delivery_hears_all_of_it_too(callers: list[Caller]) -> None:
    a, b = callers
    started, turn_id = asyncio.Event(), new_turn()
    first = asyncio.create_task(listen(a, turn_id, "say 30", started))
    await started.wait()
    more = [asyncio.create_task(listen(caller, turn_id, "say 30", asyncio.Event())) for caller in (b, b, a)]
    assert {spoken(frames) for frames in await asyncio.gather(first, *more)} == {
        "".join(f"{number} " for number in range(30))
    }


async def test_the_store_goes_down_and_comes_back_without_a_restart(
    callers: list[Caller], servers: list[ServerProcess], shared: Shared
) -> None:
    assert (await callers[0].say("before")).spoken == "before"
    shared.kill()
    for caller, server in zip(callers, servers, strict=True):
        reply = await caller.say("meanwhile")
        assert reply.spoken == APOLOGY
        assert reply.types[-1] == "response.end"
        status, report = await asyncio.to_thread(server.get, "/ready")
        assert status == 503
        assert f"127.0.0.1:{shared.port}" in report
        assert (await asyncio.to_thread(server.get, "/health"))[0] == 200

    shared.start()
    async with asyncio.timeout(100):
        while any([(await asyncio.to_thread(server.get, "/ready"))[0] != 200 for server in servers]):
            await asyncio.sleep(0.05)
    assert (await callers[1].say("after")).spoken == "before after"
    assert (await callers[0].say("again")).spoken == "before after again"


async def test_a_turn_whose_store_goes_away_in_the_middle_is_saved_when_it_is_back(
    callers: list[Caller], servers: list[ServerProcess], shared: Shared
) -> None:
    a, b = callers
    started, turn_id = asyncio.Event(), new_turn()
    running = asyncio.create_task(listen(a, turn_id, "say 20", started))
    await started.wait()
    shared.kill()
    frames = await asyncio.wait_for(running, 100)
    assert spoken(frames) == "".join(f"{number} " for number in range(20))
    assert frames[-1].type == "response.end"
    shared.start()
    store = create_store(shared.url)
    await store.open()
    async with asyncio.timeout(100):
        while (saved := await store.get(a.conversation_id, turn_id)) is None or not saved.finished:
            await asyncio.sleep(0.05)
    await store.close()
    assert (saved.status, saved.spoken_text) == (Status.COMPLETE, spoken(frames))
    async with asyncio.timeout(100):
        while (await asyncio.to_thread(servers[1].get, "/ready"))[0] != 200:
            await asyncio.sleep(0.05)
    assert (await b.say("hello")).spoken == "say 20 hello"


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.slow
async def test_a_server_that_starts_before_its_store_answers_as_soon_as_it_is_there(kind: str, tmp_path: Path) -> None:
    shared = made(kind, tmp_path / "shared")
    server = ServerProcess(shared.url, tmp_path, LAYERCODE_APOLOGY=APOLOGY)
    try:
        await asyncio.to_thread(server.start)
        async with WebhookClient(f"{server.url}/api/agents/talker", SECRET) as client:
            caller = Caller(client, "c")
            assert (await caller.say("early")).spoken == APOLOGY
            assert (await asyncio.to_thread(server.get, "/ready"))[0] == 503
            await asyncio.to_thread(shared.start)
            async with asyncio.timeout(100):
                while (await asyncio.to_thread(server.get, "/ready"))[0] != 200:
                    await asyncio.sleep(0.05)
            assert (await caller.say("late")).spoken == "late"
    finally:
        server.stop()
        shared.stop()
