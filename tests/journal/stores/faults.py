"""The faults of the table in docs/stores.md, caused on real stores. A test begins each fault and ends it again."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from layercode_app.exceptions import StoreError
from layercode_app.journal.stores.base import Store
from layercode_app.journal.stores.sqlite import SQLiteStore

from ...postgres_server import PostgresServer
from ...redis_server import RedisServer
from .faulty_link import FaultyLink, faulty_link

SLOW_SECONDS = 0.15
"""The delay of each message in each direction, so a round trip takes 300 ms."""
CATCH_UP_SECONDS = 60

FULL = """
CREATE FUNCTION layercode.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
END $$;
DO $$ DECLARE one text; BEGIN
    FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'layercode' LOOP
        EXECUTE format('CREATE TRIGGER is_full BEFORE INSERT OR UPDATE ON layercode.%I EXECUTE FUNCTION layercode.full()', one);
    END LOOP;
END $$;
"""
"""Triggers that make every write fail as on a server whose disk is full."""


@dataclass
class SQLiteFaults:
    """A journal file that another program locks, that is moved away, or whose disk is full."""

    path: Path
    store: Store | None = None
    _other: sqlite3.Connection | None = None

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    @property
    def _moved(self) -> Path:
        return self.path.with_name("moved.sqlite3")

    async def begin(self, fault: str) -> None:
        assert isinstance(self.store, SQLiteStore)
        assert self.store._connection is not None
        if fault == "hangs":
            self._other = sqlite3.connect(self.path, isolation_level=None)
            self._other.execute("BEGIN IMMEDIATE")
        elif fault == "is moved":
            self.path.rename(self._moved)
            with suppress(StoreError):
                await self.store.ping()
        else:
            (pages,) = self.store._connection.execute("PRAGMA page_count").fetchone()
            self.store._connection.execute(f"PRAGMA max_page_count = {pages}")

    async def end(self, fault: str) -> None:
        assert isinstance(self.store, SQLiteStore)
        assert self.store._connection is not None
        if self._other is not None:
            self._other.close()
        elif fault == "is moved":
            self._moved.rename(self.path)
        else:
            self.store._connection.execute("PRAGMA max_page_count = 1000000")


@dataclass
class RedisFaults:
    """A Redis server, and a proxy in front of it, the `link`. Faults are caused at the server or at the proxy."""

    server: RedisServer
    link: FaultyLink
    store: Store | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.link.port}/0"

    async def begin(self, fault: str) -> None:
        if fault == "restarts":
            await asyncio.to_thread(self.server.kill)
        elif fault == "is full":
            self.server.say("CONFIG SET maxmemory 1")
        else:
            _begin(self.server, self.link, fault)

    async def end(self, fault: str) -> None:
        if fault == "restarts":
            await asyncio.to_thread(self.server.start)
        elif fault == "is full":
            self.server.say("CONFIG SET maxmemory 0")
        else:
            _end(self.server, self.link, fault)


@dataclass
class PostgresFaults:
    """A PostgreSQL server, and a proxy in front of it, the `link`. The `replica`, if there is one, can be promoted."""

    server: PostgresServer
    link: FaultyLink
    replica: PostgresServer | None = None
    store: Store | None = None

    @property
    def url(self) -> str:
        if self.replica is None:
            return f"postgresql://test@127.0.0.1:{self.link.port}/postgres"
        hosts = f"127.0.0.1:{self.link.port},127.0.0.1:{self.replica.port}"
        return f"postgresql://test@{hosts}/postgres?target_session_attrs=read-write"

    async def begin(self, fault: str) -> None:
        if fault == "restarts":
            await asyncio.to_thread(self.server.kill)
        elif fault == "fails over":
            assert self.replica is not None
            await asyncio.to_thread(_caught_up, self.server, self.replica)
            await asyncio.to_thread(self.server.kill)
        elif fault == "is full":
            _execute(self.server, FULL)
        else:
            _begin(self.server, self.link, fault)

    async def end(self, fault: str) -> None:
        if fault == "restarts":
            await asyncio.to_thread(self.server.start)
        elif fault == "fails over":
            assert self.replica is not None
            _execute(self.replica, "SELECT pg_promote()")
        elif fault == "is full":
            _execute(self.server, "DROP FUNCTION layercode.full CASCADE")
        else:
            _end(self.server, self.link, fault)


def _begin(server: RedisServer | PostgresServer, link: FaultyLink, fault: str) -> None:
    if fault == "hangs":
        server.pause()
    elif fault == "loses connections":
        link.break_connections()
    else:
        link.delay = SLOW_SECONDS


def _end(server: RedisServer | PostgresServer, link: FaultyLink, fault: str) -> None:
    if fault == "hangs":
        server.resume()
    link.delay = 0.0


def _execute(server: PostgresServer, sql: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def _caught_up(server: PostgresServer, replica: PostgresServer) -> None:
    """Wait until the replica has everything that the server has written."""
    ((written,),) = _execute(server, "SELECT pg_current_wal_lsn()::text")
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while _execute(replica, f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn") != [(True,)]:
        assert time.monotonic() < deadline, "the replica does not catch up"
        time.sleep(0.05)


@asynccontextmanager
async def faults_of(kind: str, fault: str, folder: Path) -> AsyncIterator[SQLiteFaults | RedisFaults | PostgresFaults]:
    """Start the server of a store and, if the fault needs one, a replica. Yield an object that can cause the fault."""
    async with AsyncExitStack() as stack:
        if kind == "SQLite":
            yield SQLiteFaults(folder / "journal.sqlite3")
        elif kind == "Redis":
            redis = RedisServer(folder / "redis")
            stack.callback(redis.stop)
            redis.start()
            yield RedisFaults(redis, await stack.enter_async_context(faulty_link(redis.port)))
        else:
            postgres, replica = PostgresServer(), None
            stack.callback(postgres.stop)
            await asyncio.to_thread(postgres.start)
            if fault == "fails over":
                replica = PostgresServer()
                stack.callback(replica.stop)
                await asyncio.to_thread(replica.follow, postgres)
            yield PostgresFaults(postgres, await stack.enter_async_context(faulty_link(postgres.port)), replica)
