"""The PostgreSQL journal only: a server that goes away, poolers, migrations, and SQL on the tables."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest

from layercode_app.exceptions import ConfigurationError, StoreError
from layercode_app.journal import steady_clock
from layercode_app.journal.record import Status
from layercode_app.journal.stores import create_store, postgres_link, postgres_schema, postgres_worker
from layercode_app.journal.stores.base import Job, Signal
from layercode_app.journal.stores.batches import IN_FLIGHT
from layercode_app.journal.stores.postgres import PostgresStore

from ...hostile import ALL
from ...markdown import blocks
from ...postgres_server import PostgresServer
from .records import add, begin, ended, turn

pytestmark = pytest.mark.anyio

PATIENCE = 100


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server that only the tests of this module use, because some of them kill it."""
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def store(server: PostgresServer) -> AsyncIterator[PostgresStore]:
    server.clear()
    store = PostgresStore(server.url)
    await store.open()
    yield store
    await store.close()


async def query(server: PostgresServer, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as connection:
        cursor = await connection.execute(sql, parameters)
        return await cursor.fetchall() if cursor.description else []


async def eventually(store: PostgresStore) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await store.ping()
            except StoreError:
                await asyncio.sleep(0.05)


async def test_a_killed_server_is_an_error_at_once_and_then_recovers_with_what_it_had(
    server: PostgresServer, store: PostgresStore
) -> None:
    await add(store, turn("c", "before"))
    running = (await begin(store, turn("c", "running"))).record
    server.kill()
    for ask in (store.ping(), begin(store, turn()), store.save(running), store.get("c", "before"), store.alive("x")):
        with pytest.raises(StoreError, match=rf"postgresql 127\.0\.0\.1:{server.port}"):
            await ask
    with pytest.raises(StoreError):
        await anext(store.turns())

    server.start()
    await eventually(store)
    await store.save(ended(running))
    begun = await begin(store, turn("c", "after"))
    assert [(past.turn_id, past.status) for past in begun.history] == [
        ("before", Status.COMPLETE),
        ("running", Status.COMPLETE),
    ]


async def test_connections_that_break_one_by_one_lose_nothing(server: PostgresServer, store: PostgresStore) -> None:
    for number in range(8):
        await query(
            server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'layercode'"
        )
        assert (await begin(store, turn("c", f"t{number}"))).outcome == "new"
        assert await store.enqueue(Job(f"j{number}", "n", "a", {}))
    assert [record.turn_id async for record in store.turns()] == [f"t{number}" for number in range(8)]


async def test_a_hanging_server_is_an_error_in_bounded_time(
    server: PostgresServer, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_link, "ANSWER_SECONDS", 0.5)
    server.pause()
    try:
        # The 20 calls wait at the same time. If they waited one after another, this would take 20 times as long.
        async with asyncio.timeout(PATIENCE):
            results = await asyncio.gather(*[begin(store, turn()) for _ in range(20)], return_exceptions=True)
        assert {type(result) for result in results} == {StoreError}
    finally:
        server.resume()
    await eventually(store)
    assert (await begin(store, turn())).outcome == "new"


async def test_a_call_whose_answer_was_lost_is_sent_again_and_applied_once(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, lost = postgres_link._pipeline, list[Any]()

    async def lose_the_answer(connection: Any, batch: Any) -> Any:
        result = await send(connection, batch)
        if not lost:
            lost.append(batch)
            await connection.close()
            raise psycopg.OperationalError("the connection broke")
        return result

    monkeypatch.setattr(postgres_link, "_pipeline", lose_the_answer)
    record = turn("c", "t")
    assert (await begin(store, record)).outcome == "new"
    lost.clear()
    assert await store.claim(record)
    assert record.attempt == 2
    lost.clear()
    assert await store.enqueue(Job("j", "n", "a", {}))
    lost.clear()
    leased = await store.lease(now=steady_clock.now(), seconds=60)
    assert leased is not None
    assert leased.id == "j"
    lost.clear()
    assert await store.add_totals("day", {"cost": 1.0}) == {"cost": 1.0}


async def test_an_operation_that_fails_does_not_fail_those_of_the_same_tick(store: PostgresStore) -> None:
    wrong = turn("c", "wrong", started_at="soon")
    results = await asyncio.gather(
        begin(store, turn("c", "one")), begin(store, wrong), begin(store, turn("d", "two")), return_exceptions=True
    )
    assert [isinstance(result, StoreError) for result in results] == [False, True, False]
    assert {record.turn_id async for record in store.turns()} == {"one", "two"}


@pytest.mark.slow
async def test_signals_and_life_come_back_after_an_outage(server: PostgresServer, store: PostgresStore) -> None:
    other = PostgresStore(server.url)
    await other.open()
    got: asyncio.Queue[Signal] = asyncio.Queue()
    other.on_signal(got.put_nowait)
    server.kill()
    await asyncio.sleep(0.3)
    server.start()
    await eventually(store)
    # The other worker's lease is missing or expired, but the worker was only disconnected. So it still counts as alive,
    # and its turns must not be taken over.
    await query(server, "DELETE FROM layercode.workers WHERE owner = %s", other.owner)
    assert await store.alive(other.owner)
    await store.signal(other.owner, Signal("stop", "c", "t"))
    assert await asyncio.wait_for(got.get(), PATIENCE) == Signal("stop", "c", "t")
    assert not await store.alive("nobody")
    await other.close()


async def test_signals_arrive_where_notifications_do_not(
    server: PostgresServer, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A pooler in transaction mode gives the listening connection to other clients, so notifications are lost. To
    # imitate this, use another channel name each time.
    numbers = iter(range(1000))
    monkeypatch.setattr(postgres_worker, "_channel", lambda owner: f"c{next(numbers)}")
    monkeypatch.setattr(postgres_worker, "SILENCE_SECONDS", 0.2)
    other = PostgresStore(server.url)
    got: asyncio.Queue[Signal] = asyncio.Queue()
    other.on_signal(got.put_nowait)
    await other.open()
    for _ in range(3):
        await store.signal(other.owner, Signal("stop", "c", "t"))
        assert await asyncio.wait_for(got.get(), PATIENCE) == Signal("stop", "c", "t")
    await other.close()


async def test_no_connection_is_left_behind(server: PostgresServer, store: PostgresStore) -> None:
    await asyncio.gather(*[add(store, turn(f"c{number}")) for number in range(100)])
    sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'layercode'"
    ((open_now,),) = await query(server, sql)
    assert 2 <= open_now <= IN_FLIGHT + 1
    await store.close()
    async with asyncio.timeout(PATIENCE):
        while (await query(server, sql)) != [(0,)]:
            await asyncio.sleep(0.02)
    assert len([task for task in asyncio.all_tasks() if task.get_name().startswith("journal")]) == 0


async def test_text_is_utf8_whatever_the_clients_of_the_database_use(
    server: PostgresServer, store: PostgresStore
) -> None:
    await query(server, "ALTER DATABASE postgres SET client_encoding = 'LATIN1'")
    try:
        other = PostgresStore(server.url)
        await other.open()
        await add(other, turn("c", "t", user_text="łódź — 🙂"))
        stored = await other.get("c", "t")
        assert stored is not None
        assert stored.user_text == "łódź — 🙂"
        await other.close()
    finally:
        await query(server, "ALTER DATABASE postgres RESET client_encoding")


async def test_an_unforeseen_error_fails_its_operation_at_once(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(connection: Any, batch: Any) -> Any:
        raise LookupError("unforeseen")

    monkeypatch.setattr(postgres_link, "_pipeline", fail)
    with pytest.raises(StoreError, match="unforeseen"):
        await asyncio.wait_for(store.ping(), PATIENCE)
    monkeypatch.undo()
    await store.ping()


async def test_an_update_whose_answer_was_lost_changes_the_turn_once(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(store, turn("c", "t"))
    send, sent = postgres_link._pipeline, list[Any]()

    async def lose_the_save(connection: Any, batch: Any) -> Any:
        result = await send(connection, batch)
        sent.append(batch)
        if len(sent) == 2:
            await connection.close()
            raise psycopg.OperationalError("the connection broke")
        return result

    monkeypatch.setattr(postgres_link, "_pipeline", lose_the_save)
    changed = await store.update("c", "t", lambda record: record.notes.append("once"))
    assert changed is not None
    assert changed.notes == ["once"]


async def test_forgetting_and_saving_at_once_do_not_wait_for_each_other(
    server: PostgresServer, store: PostgresStore
) -> None:
    other = PostgresStore(server.url)
    await other.open()
    for number in range(20):
        record = (await begin(store, turn(f"c{number}", "t"))).record
        await asyncio.gather(store.save(record, state={"a": 1}), other.forget(f"c{number}"))
        assert await store.get(f"c{number}", "t") is None
    await other.close()


async def test_hostile_ids_and_texts_are_read_back_as_they_were(server: PostgresServer, store: PostgresStore) -> None:
    await add(store, turn(ALL, ALL, user_text=ALL, agent=ALL))
    await store.establish(ALL, {ALL: ALL})
    begun = await begin(store, turn(ALL, "next"))
    assert [(past.conversation_id, past.turn_id, past.user_text, past.agent) for past in begun.history] == [(ALL,) * 4]
    assert begun.metadata == {ALL: ALL}
    assert [(summary.conversation_id, summary.agent) for summary in await store.conversations()] == [(ALL, ALL)]
    assert len(await query(server, "SELECT caller_said, agent_said FROM layercode.turn_facts")) == 2
    assert await store.forget(ALL) == 2
    for table in ("conversations", "fields", "turns", "jobs"):
        assert await query(server, f"SELECT * FROM layercode.{table}") == []


QUERIES = [block.code for block in blocks("sql") if block.page.endswith("stores.md")]


@pytest.mark.parametrize("sql", QUERIES)
async def test_the_documented_queries_find_the_turns(sql: str, server: PostgresServer, store: PostgresStore) -> None:
    await add(store, turn("c", "t", timings={"ttfs": 10.0, "total": 20.0}, cost=0.5))
    failed = turn("c", "u")
    await begin(store, failed)
    await store.save(ended(failed, status=Status.FAILED))
    rows = await query(server, sql)
    assert len(rows) == 1
    assert {"a", 2}.intersection(rows[0])


async def test_a_turn_that_begins_while_its_conversation_is_forgotten_is_listed(
    server: PostgresServer, store: PostgresStore
) -> None:
    await add(store, turn("c", "old"))
    async with await psycopg.AsyncConnection.connect(server.url) as forgetting:
        # `forget` locks the conversation, and then deletes it.
        await forgetting.execute("SELECT 1 FROM layercode.conversations WHERE conversation_id = 'c' FOR UPDATE")
        beginning = asyncio.create_task(begin(store, turn("c", "new")))
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        async with asyncio.timeout(PATIENCE):
            while not await query(server, waits):
                await asyncio.sleep(0.01)
        await forgetting.execute("SELECT layercode.forget('c', NULL)")
        await forgetting.commit()
    assert (await beginning).outcome == "new"
    assert [(one.conversation_id, one.turns) for one in await store.conversations()] == [("c", 1)]


async def test_forgetting_waits_for_the_first_turn_of_a_conversation(
    server: PostgresServer, store: PostgresStore
) -> None:
    async with await psycopg.AsyncConnection.connect(server.url) as beginning:
        begin_turn = "SELECT layercode.begin_turn('c', 't', 'message', true, 'a', 'o', 'k', 1, 1, '{}', ''::bytea)"
        await beginning.execute(begin_turn)
        forgetting = asyncio.create_task(store.forget("c"))
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        async with asyncio.timeout(PATIENCE):
            while not await query(server, waits):
                await asyncio.sleep(0.01)
        await beginning.commit()
    assert await forgetting == 1
    assert await query(server, "SELECT 1 FROM layercode.turns UNION SELECT 1 FROM layercode.conversations") == []


async def test_turns_that_an_earlier_release_did_not_list_are_listed(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.clear()
    with monkeypatch.context() as earlier:
        earlier.setattr(postgres_schema, "VERSION", 3)
        earlier.setattr(postgres_schema, "MIGRATIONS", postgres_schema.MIGRATIONS[:3])
        old = PostgresStore(server.url)
        await old.open()
        await add(old, turn("c", "1", agent="first", started_at=100.0))
        await add(old, turn("c", "2", agent="second", started_at=200.0))
        await query(server, "DELETE FROM layercode.conversations")
        await old.close()
    store = PostgresStore(server.url)
    await store.open()
    listed = await store.conversations()
    assert [(one.agent, one.turns, one.started_at, one.last_at) for one in listed] == [("first", 2, 100.0, 200.0)]
    assert await store.prune(150.0) == 0
    assert await store.prune(300.0) == 2
    await store.close()


async def test_workers_that_open_at_once_migrate_once(server: PostgresServer) -> None:
    server.clear()
    stores = [PostgresStore(server.url) for _ in range(4)]
    await asyncio.gather(*[store.open() for store in stores])
    assert await query(server, "SELECT version FROM layercode.schema_version") == [(postgres_schema.VERSION,)]
    await asyncio.gather(*[store.close() for store in stores])


@pytest.mark.parametrize("version", range(postgres_schema.VERSION + 1))
async def test_every_earlier_schema_is_migrated(
    version: int, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.clear()
    with monkeypatch.context() as earlier:
        earlier.setattr(postgres_schema, "VERSION", version)
        earlier.setattr(postgres_schema, "MIGRATIONS", postgres_schema.MIGRATIONS[:version])
        async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as connection:
            await postgres_schema.prepare(connection)
    store = PostgresStore(server.url)
    await store.open()
    await add(store, turn("c", "t"))
    await store.close()


async def test_a_migration_needs_no_right_to_create_schemas(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.clear()
    await query(server, "CREATE ROLE voice LOGIN")
    name = str((await query(server, "SELECT current_database()"))[0][0])
    await query(server, f'GRANT CREATE ON DATABASE "{name}" TO voice')
    try:
        with monkeypatch.context() as earlier:
            earlier.setattr(postgres_schema, "VERSION", 1)
            earlier.setattr(postgres_schema, "MIGRATIONS", postgres_schema.MIGRATIONS[:1])
            await _prepare_as(server, "voice")
        await query(server, f'REVOKE CREATE ON DATABASE "{name}" FROM voice')
        await _prepare_as(server, "voice")
        assert await query(server, "SELECT version FROM layercode.schema_version") == [(postgres_schema.VERSION,)]
    finally:
        await query(server, "DROP OWNED BY voice CASCADE")
        await query(server, "DROP ROLE voice")


async def _prepare_as(server: PostgresServer, user: str) -> None:
    async with await psycopg.AsyncConnection.connect(server.url, user=user, autocommit=True) as connection:
        await postgres_schema.prepare(connection)


async def test_a_newer_schema_is_refused(server: PostgresServer, store: PostgresStore) -> None:
    await query(server, "UPDATE layercode.schema_version SET version = version + 1")
    with pytest.raises(StoreError, match="install the newer release"):
        await PostgresStore(server.url).open()


async def test_pruning_deletes_old_conversations_in_batches(store: PostgresStore) -> None:
    now = time.time()
    for number in range(25):
        await add(store, turn(f"old{number}", started_at=now - 1000))
    await add(store, turn("new", started_at=now))
    assert await store.prune(now - 500) == 25
    assert [summary.conversation_id for summary in await store.conversations()] == ["new"]


def test_an_at_sign_in_a_password_is_refused_and_the_password_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="write %40") as refused:
        create_store("postgresql://user:test-pass@word@127.0.0.1:1/db")
    assert "word@" not in str(refused.value)


async def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    store = create_store("postgresql://user:test-password@127.0.0.1:1/db")
    with pytest.raises(StoreError, match=r"postgresql 127\.0\.0\.1:1/db") as refused:
        await store.open()
    assert "test-password" not in str(refused.value)
    with pytest.raises(StoreError, match="not open"):
        await store.lease(now=0, seconds=1)
    await store.close()


@pytest.mark.parametrize("url", ["postgresql://host/db?nothing=x", "postgres://[host/db"])
def test_a_malformed_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="PostgreSQL URL"):
        create_store(url)
