"""Totals are added atomically, read by prefix, and kept when the turns they count are deleted."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from layercode_app.journal.record import Frame, Kind, Status, TurnRecord
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import REMEMBER_SECONDS, Store
from layercode_app.journal.stores.postgres import PostgresStore

from ...journals import SERVERS
from ...postgres_server import PostgresServer
from ...redis_server import RedisServer

pytestmark = pytest.mark.anyio


def turn(number: int, conversation: str = "c", *, started_at: float = 100.0) -> TurnRecord:
    return TurnRecord(conversation, f"t{number}", Kind.MESSAGE, "echo", started_at=started_at)


async def test_totals_add_up_and_answer_with_the_sum(store: Store) -> None:
    assert await store.add_totals("usage/2026-01-01/a/m", {"turns": 1, "cost": 0.25}) == {"turns": 1, "cost": 0.25}
    assert await store.add_totals("usage/2026-01-01/a/m", {"turns": 2}) == {"turns": 3, "cost": 0.25}
    await asyncio.gather(*[store.add_totals("many", {"n": 1}) for _ in range(50)])
    assert await store.totals("many") == {"many": {"n": 50}}


@pytest.mark.parametrize("store", SERVERS, indirect=True)
async def test_totals_that_are_sent_again_with_the_same_id_are_added_once(store: Store) -> None:
    for _ in range(2):
        assert await store.add_totals("day", {"cost": 1.5}, request_id="one") == {"cost": 1.5}
    assert await store.add_totals("day", {"cost": 1.5}, request_id="two") == {"cost": 3.0}


async def test_redis_remembers_the_id_of_a_request_long_enough(redis_server: RedisServer) -> None:
    redis_server.clear()
    store = create_store(redis_server.url)
    await store.open()
    await store.add_totals("day", {"cost": 1.5}, request_id="one")
    await store.close()
    seconds = int(redis_server.say("TTL layercode:{totals}:once:one").removeprefix(b":"))
    assert REMEMBER_SECONDS - 100 < seconds <= REMEMBER_SECONDS


async def test_postgresql_remembers_the_id_of_a_request_long_enough(postgres_server: PostgresServer) -> None:
    postgres_server.clear()
    store = PostgresStore(postgres_server.url)
    await store.open()
    for seconds in (0, REMEMBER_SECONDS - 100):
        assert await store.add_totals("day", {"cost": 1.5}, request_id="one") == {"cost": 1.5}
        with psycopg.connect(postgres_server.url, autocommit=True) as connection:
            connection.execute("UPDATE layercode.applied SET at = at - %s * interval '1 second'", (seconds,))
        await store._worker.renew()
    assert await store.add_totals("day", {"cost": 1.5}, request_id="one") == {"cost": 1.5}
    await store.close()


async def test_totals_are_read_by_prefix_in_order(store: Store) -> None:
    for key in ("b/2", "a/1", "b/1", "b%", "bb"):
        await store.add_totals(key, {"n": 1})
    assert list(await store.totals("b/")) == ["b/1", "b/2"]
    assert await store.totals("nothing") == {}


async def test_totals_are_dropped_below_a_key_and_only_there(store: Store) -> None:
    for key in ("r/01", "r/02", "r/03", "a/00"):
        await store.add_totals(key, {"n": 1})
    await store.drop_totals("r/", before="r/02")
    assert list(await store.totals("")) == ["a/00", "r/02", "r/03"]


async def test_totals_outlive_forgetting_and_pruning(store: Store) -> None:
    for number in range(25):
        await store.begin(turn(number, f"c{number}", started_at=100.0 + number), history_tokens=0)
    await store.add_totals("usage/1970-01-01", {"turns": 25})

    assert await store.forget("c24") == 1
    assert await store.prune(before=120.0) == 20
    assert {found.conversation_id async for found in store.turns()} == {"c20", "c21", "c22", "c23"}
    assert await store.totals("usage/") == {"usage/1970-01-01": {"turns": 25}}


async def test_turns_without_bodies_have_every_figure_but_no_messages_and_no_frames(store: Store) -> None:
    record = turn(1)
    await store.begin(record, history_tokens=0)
    record.status, record.cost, record.timings = Status.COMPLETE, 0.5, {"total": 12.0}
    record.messages, record.frames = b"[]", [Frame("response.end")]
    await store.save(record)

    [light] = [found async for found in store.turns(bodies=False)]
    [whole] = [found async for found in store.turns()]
    assert (light.messages, light.frames, light.cost, light.timings) == (b"", [], 0.5, {"total": 12.0})
    assert (whole.messages, [frame.type for frame in whole.frames]) == (b"[]", ["response.end"])
