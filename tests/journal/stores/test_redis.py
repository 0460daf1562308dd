"""The Redis journal only: its server goes away, hangs and comes back, and its keys expire."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from layercode_app.exceptions import ConfigurationError, StoreError
from layercode_app.journal import steady_clock
from layercode_app.journal.record import Status, TurnRecord
from layercode_app.journal.stores import create_store, presence
from layercode_app.journal.stores.base import Job, Signal
from layercode_app.journal.stores.redis import RedisStore
from layercode_app.journal.stores.redis_link import ANSWER_SECONDS, Command, Link
from layercode_app.journal.stores.redis_worker import Worker

from ...redis_server import RedisServer
from .records import add, begin, ended, turn

pytestmark = pytest.mark.anyio

PATIENCE = 100


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of one's own, which may be killed."""
    server = RedisServer(tmp_path / "redis", cluster=False)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    store = RedisStore(server.url)
    await store.open()
    yield store
    await store.close()


async def eventually(store: RedisStore) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await store.ping()
            except StoreError:
                await asyncio.sleep(0.05)


async def test_a_killed_server_is_an_error_at_once_and_then_recovers_with_what_it_had(
    server: RedisServer, store: RedisStore
) -> None:
    await add(store, turn("c", "before"))
    running = (await begin(store, turn("c", "running"))).record
    server.kill()
    for ask in (store.ping(), begin(store, turn()), store.save(running), store.get("c", "before"), store.alive("x")):
        with pytest.raises(StoreError, match=rf"redis 127\.0\.0\.1:{server.port}"):
            await ask

    server.start()
    await eventually(store)
    await store.save(ended(running))
    begun = await begin(store, turn("c", "after"))
    assert [(past.turn_id, past.status) for past in begun.history] == [
        ("before", Status.COMPLETE),
        ("running", Status.COMPLETE),
    ]


async def test_a_hanging_server_is_an_error_in_bounded_time(server: RedisServer, store: RedisStore) -> None:
    server.pause()
    try:
        # The 20 calls wait at the same time. If they waited one after another, this would take 20 times as long.
        async with asyncio.timeout(ANSWER_SECONDS * 10):
            results = await asyncio.gather(*[begin(store, turn()) for _ in range(20)], return_exceptions=True)
        assert {type(result) for result in results} == {StoreError}
    finally:
        server.resume()
    await eventually(store)
    assert (await begin(store, turn())).outcome == "new"


async def test_signals_and_life_come_back_after_an_outage(server: RedisServer, store: RedisStore) -> None:
    other = RedisStore(server.url)
    await other.open()
    got: asyncio.Queue[Signal] = asyncio.Queue()
    other.on_signal(got.put_nowait)
    server.kill()
    await asyncio.sleep(0.3)
    server.start()
    await eventually(store)
    # The other worker's lease is missing or expired, but the worker was only disconnected. So it still counts as alive,
    # and its turns must not be taken over.
    server.clear()
    assert await store.alive(other.owner)
    await store.signal(other.owner, Signal("stop", "c", "t"))
    assert await asyncio.wait_for(got.get(), PATIENCE) == Signal("stop", "c", "t")
    assert not await store.alive("nobody")
    await other.close()


async def test_a_signal_to_a_worker_that_does_not_listen_just_now_waits_for_it(
    server: RedisServer, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(worker: Worker) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(presence, "SUBSCRIBE_SECONDS", 0.01)
    monkeypatch.setattr(Worker, "listen", deaf)
    other = RedisStore(server.url)
    await other.open()
    got: asyncio.Queue[Signal] = asyncio.Queue()
    other.on_signal(got.put_nowait)
    await store.signal(other.owner, Signal("stop", "c", "t"))
    assert await asyncio.wait_for(got.get(), PATIENCE) == Signal("stop", "c", "t")
    await other.close()


async def test_a_server_that_lost_its_scripts_gets_them_again(server: RedisServer, store: RedisStore) -> None:
    await add(store, turn("c", "t"))
    client = redis.asyncio.Redis.from_url(server.url)
    await client.script_flush()
    await client.aclose()
    assert (await begin(store, turn("c", "u"))).outcome == "new"


async def test_every_key_of_a_conversation_expires_together_and_late_enough(server: RedisServer) -> None:
    client = redis.asyncio.Redis.from_url(server.url, decode_responses=True)
    for keep, least, most in ((86_400.0, 86_000, 86_400), (1.0, 1100, 1200), (0.0, -1, -1)):
        server.clear()
        store = create_store(server.url, keep_seconds=keep)
        await store.open()
        await store.establish("c", {"m": 1})
        await store.save((await begin(store, turn("c", "t"))).record, state={"s": 1})
        await store.enqueue(Job("j", "n", "a", {}, "c"))
        keys = [key async for key in client.scan_iter("layercode:{c}:*")]
        assert len(keys) == 9
        assert all([least <= await client.ttl(key) <= most for key in keys])
        await store.close()
    await client.aclose()


async def test_an_expired_conversation_is_in_no_list(server: RedisServer, store: RedisStore) -> None:
    await add(store, turn("gone"))
    await add(store, turn("stays"))
    client = redis.asyncio.Redis.from_url(server.url, decode_responses=True)
    await client.delete(*[key async for key in client.scan_iter("layercode:{gone}:*")])
    await client.aclose()
    assert [summary.conversation_id for summary in await store.conversations()] == ["stays"]
    assert [record.conversation_id async for record in store.turns()] == ["stays"]
    await store.prune(time.time() + 10)
    assert await store.conversations() == []


async def test_no_connection_is_left_behind(server: RedisServer) -> None:
    client = redis.asyncio.Redis.from_url(server.url)
    store = RedisStore(server.url)
    await store.open()
    await asyncio.gather(*[add(store, turn(f"c{number}")) for number in range(100)])
    assert 2 <= len(await client.client_list()) - 1 <= 16
    await store.close()
    async with asyncio.timeout(PATIENCE):
        while len(await client.client_list()) > 1:
            await asyncio.sleep(0.02)
    assert len([task for task in asyncio.all_tasks() if task.get_name().startswith("journal")]) == 0
    await client.aclose()


async def test_nothing_of_a_forgotten_conversation_is_left(server: RedisServer, store: RedisStore) -> None:
    await add(store, turn("secret-conversation", user_text="unmistakable words"))
    await store.enqueue(
        Job("session_end-secret-conversation", "n", "a", {"text": "unmistakable"}, "secret-conversation")
    )
    job = await store.lease(now=time.time(), seconds=60)
    assert job is not None
    await store.settle(job)
    await store.forget("secret-conversation")
    client = redis.asyncio.Redis.from_url(server.url)
    left = [key async for key in client.scan_iter("*")]
    dumps = [await client.dump(key) for key in left]
    await client.aclose()
    assert not any(b"secret-conversation" in part or b"unmistakable" in part for part in [*left, *dumps])


async def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    store = create_store("redis://user:test-password@127.0.0.1:1/3")
    with pytest.raises(StoreError, match=r"redis 127\.0\.0\.1:1/3") as refused:
        await store.open()
    assert "test-password" not in str(refused.value)
    with pytest.raises(StoreError, match="not open"):
        await store.lease(now=0, seconds=1)
    await store.close()


@pytest.mark.parametrize("url", ["redis://host:port/0", "rediss://host:99999/0", "redis://host/0?socket_timeout=x"])
def test_a_malformed_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="Redis URL"):
        create_store(url)


async def test_a_call_whose_reply_was_lost_is_sent_again_and_applied_once(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(store, turn("c", "t"))
    send = store._link._send

    async def send_twice(commands: list[Command]) -> list[Any]:
        await send(commands)
        return await send(commands)

    monkeypatch.setattr(store._link, "_send", send_twice)
    assert await store.enqueue(Job("j1", "n", "a", {}))
    assert not await store.enqueue(Job("j1", "n", "a", {}))
    assert await store.enqueue(Job("j2", "n", "a", {}))
    leased = [await store.lease(now=steady_clock.now(), seconds=60) for _ in range(3)]
    assert [job.id if job else None for job in leased] == ["j1", "j2", None]
    assert await store.add_totals("day", {"cost": 1.5}) == {"cost": 1.5}
    assert await store.add_totals("day", {"cost": 1.0}) == {"cost": 2.5}

    def note(record: TurnRecord) -> None:
        record.notes.append("once")

    changed = await store.update("c", "t", note)
    assert changed is not None
    assert changed.notes == ["once"]
    found = await store.get("c", "t")
    assert found is not None
    assert found.notes == ["once"]


@pytest.mark.parametrize("what", ["turn", "state"])
@pytest.mark.parametrize("when", ["before the indexes are left", "before the conversation is deleted"])
async def test_what_is_written_while_its_conversation_is_forgotten_is_listed(
    what: str, when: str, server: RedisServer, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = RedisStore(server.url)
    await other.open()
    await add(store, turn("c", "old"))
    await store.save_state("c", {"x": 1})
    leave, script = store._leave_indexes, Link.script

    async def write() -> None:
        if what == "turn":
            await begin(other, turn("c", "new"))
        else:
            await other.save_state("c", {"y": 2})

    async def write_first(conversation_id: str) -> None:
        await write()
        await leave(conversation_id)

    async def forget_first(link: Link, text: str, keys: Any, *arguments: Any, around: Any = ()) -> Any:
        monkeypatch.setattr(Link, "script", script)
        await link.run(*around)
        await store.forget("c")
        return await link.script(text, keys, *arguments, around=around)

    if when == "before the indexes are left":
        monkeypatch.setattr(store, "_leave_indexes", write_first)
        await store.forget("c")
    else:
        monkeypatch.setattr(Link, "script", forget_first)
        await write()
    assert [record.turn_id async for record in store.turns()] == (["new"] if what == "turn" else [])
    assert await store.established() == ([] if what == "turn" else ["c"])
    await other.close()
