"""The journal in one SQLite file: the default, for any number of worker processes on one machine.

It uses a write-ahead log with `synchronous=NORMAL`: a `kill -9` loses no turn that has begun; a power cut may lose the
last commits. Only the user who owns the file can read it, because it contains the conversations.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from loguru import logger

from ...exceptions import StoreError
from ..record import Json, TurnRecord, assign
from . import sqlite_conversations as conversations
from . import sqlite_forgotten as forgotten
from . import sqlite_jobs as jobs
from . import sqlite_totals as totals
from . import sqlite_turns as turns
from .base import Begun, Change, Conversation, Job, Signal, Size, Store, Summary
from .group_commit import GroupCommit
from .sqlite_checkpoints import Checkpointer
from .sqlite_files import WorkerLock, check_pages, connect, create, worker_alive
from .sqlite_history import HEADS, WHOLE, load, newest
from .sqlite_open_files import OpenFiles
from .sqlite_recent import Recent
from .sqlite_schema import prepare

T = TypeVar("T")

SIGNAL_POLL_SECONDS = 0.02
PRUNE_BATCH = 10
"""Number of conversations that `prune` deletes in one transaction."""


class SQLiteStore(Store):
    """A journal in the SQLite file at `path`. For a journal in memory use MemoryStore, not the path `:memory:`."""

    def __init__(self, path: Path | str) -> None:
        # Use an absolute path, because a hook or tool may change the working directory. Follow links, as SQLite does: the
        # workers' locks must be next to the file itself.
        self.path = Path(os.path.realpath(path))
        self.component = f"sqlite {path}"
        self._lock = WorkerLock(self.path)
        self._files = OpenFiles(self.path, self._lock)
        self._connection: sqlite3.Connection | None = None
        self._recent = Recent()
        self._receive: Callable[[Signal], None] = lambda signal: None

    async def open(self) -> None:
        if self._connection is not None:
            # The store was opened in an earlier event loop, which ended without a call of `close`.
            await self._release(self._connection)
        try:
            self._connection = await asyncio.to_thread(self._open)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"The journal {self.path} cannot be opened: {error}. Its path is set by LAYERCODE_STORE."
            ) from error
        self._checkpointer = checkpointer = Checkpointer(self.path)
        checkpointer.start()
        recent = self._recent
        recent.clear()
        self._commits = GroupCommit(
            self._connection,
            self.component,
            held=lambda: checkpointer.cutting,
            begun=recent.doubt,
            undone=recent.clear,
        )
        self._poller = asyncio.create_task(self._poll(), name="journal-poll")

    def _open(self) -> sqlite3.Connection:
        create(self.path)
        connection = connect(self.path)
        try:
            connection.execute("PRAGMA busy_timeout=5000")
            prepare(connection)
            self.owner = self._lock.take()
            conversations.drop_signals(connection, [*self._lock.others(), forgotten.OWNER])
            connection.execute("PRAGMA busy_timeout=0")
            self._files.note()
        except BaseException:
            self._lock.release()
            connection.close()
            raise
        return connection

    async def close(self) -> None:
        if self._connection is None:
            return
        with contextlib.suppress(StoreError):
            await self._run(lambda db: None)  # operations run in order, so this waits for pending writes
        self._poller.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._poller
        await self._release(self._connection)

    async def _release(self, connection: sqlite3.Connection) -> None:
        self._connection = None
        await asyncio.to_thread(self._checkpointer.stop)
        connection.close()
        self._lock.release()

    async def ping(self) -> None:
        self._files.check()
        await self._run(lambda db: db.execute("INSERT OR REPLACE INTO signals (id, owner, body) VALUES (0, '', x'')"))

    async def verify(self) -> None:
        await self._read_beside(check_pages)
        await super().verify()

    async def size(self) -> Size:
        counted = await self._read_beside(conversations.size)
        files = [self.path, self.path.with_name(self.path.name + "-wal")]
        return Size(*counted, sum(file.stat().st_size for file in files if file.exists()))

    def _run(self, operation: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        if self._connection is None:
            raise StoreError(f"The journal ({self.component}) is not open.")
        self._files.require()
        return self._commits.run(operation)

    def _change(self, conversation_id: str, operation: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Run an operation that changes a conversation, and drop the conversation from the cache.

        `begin` and `save` do not use this method: they update the cache themselves.
        """

        def change(db: sqlite3.Connection) -> T:
            self._recent.drop(conversation_id)
            return operation(db)

        return self._run(change)

    async def _read_beside(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Read on a separate connection in a separate thread, so that a report never delays a call."""
        self._files.require()

        def work() -> T:
            with contextlib.closing(connect(self.path)) as db:
                return read(db)

        try:
            return await asyncio.to_thread(work)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"The journal ({self.component}) cannot be read: {error}") from error

    # --- turns

    async def begin(self, record: TurnRecord, *, history_tokens: int) -> Begun:
        record.owner = self.owner
        return await self._run(lambda db: turns.begin(db, record, history_tokens, self._recent))

    async def claim(self, record: TurnRecord) -> bool:
        claimed = await self._change(record.conversation_id, lambda db: turns.claim(db, record, self.owner))
        if claimed is not None:
            assign(record, claimed)
        return claimed is not None

    async def save(
        self, record: TurnRecord, *, state: dict[str, Json] | None = None, based_on: Mapping[str, Json] | None = None
    ) -> bool:
        save, conversation_id = turns.writing(record), record.conversation_id

        def write(db: sqlite3.Connection) -> bool:
            saved = save(db, self._recent)
            if saved and state:
                conversations.merge(db, conversation_id, state, {}, based_on)
                self._recent.drop(conversation_id)
            return saved

        return await self._run(write)

    async def get(self, conversation_id: str, turn_id: str) -> TurnRecord | None:
        return await self._run(lambda db: turns.get(db, conversation_id, turn_id))

    async def update(self, conversation_id: str, turn_id: str, change: Change) -> TurnRecord | None:
        return await self._change(conversation_id, lambda db: turns.update(db, conversation_id, turn_id, change))

    async def history(self, conversation_id: str, *, tokens: int, before: int | None = None) -> list[TurnRecord]:
        rows = await self._run(lambda db: newest(db, conversation_id, tokens, before))
        return [load(row) for row in rows]

    async def turns(
        self,
        *,
        conversation_id: str | None = None,
        since: float = 0.0,
        newest_first: bool = False,
        bodies: bool = True,
    ) -> AsyncIterator[TurnRecord]:
        columns = WHOLE if bodies else HEADS
        after: int | None = None
        while True:
            found = await self._read_beside(
                lambda db, after=after: turns.page(db, after, conversation_id, since, newest_first, columns)  # type: ignore[misc]
            )
            if not found:
                return
            after = found[-1].position  # read it now: the caller may change the records
            for record in found:
                yield record

    async def unfinished(self, *, since: float) -> AsyncIterator[TurnRecord]:
        for record in await self._read_beside(lambda db: turns.unfinished(db, since)):
            yield record

    # --- conversations

    async def conversation(self, conversation_id: str) -> Conversation:
        return await self._run(lambda db: conversations.read(db, conversation_id))

    async def establish(self, conversation_id: str, metadata: dict[str, Json]) -> None:
        await self._change(conversation_id, lambda db: conversations.merge(db, conversation_id, {}, metadata))

    async def save_state(
        self,
        conversation_id: str,
        state: dict[str, Json],
        *,
        turn_id: str | None = None,
        based_on: Mapping[str, Json] | None = None,
    ) -> bool:
        def merge(db: sqlite3.Connection) -> bool:
            if turn_id is not None and not turns.is_stored(db, conversation_id, turn_id):
                return False
            conversations.merge(db, conversation_id, state, {}, based_on)
            return True

        return await self._change(conversation_id, merge)

    async def conversations(self, *, limit: int = 50) -> list[Summary]:
        return await self._read_beside(lambda db: conversations.newest(db, limit))

    async def established(self) -> list[str]:
        return await self._read_beside(conversations.established)

    async def forget(self, conversation_id: str) -> int:
        def forget_one(db: sqlite3.Connection) -> int:
            forgotten.mark(db)
            return conversations.forget(db, conversation_id)

        gone = await self._change(conversation_id, forget_one)
        # Otherwise the deleted text would stay in the write-ahead log until it is overwritten.
        await asyncio.to_thread(self._checkpointer.truncate)
        return gone

    async def prune(self, before: float) -> int:
        gone, silent = 0, await self._read_beside(lambda db: conversations.silent(db, before))
        # Delete in small batches: deleting a month of calls in one transaction would stall the calls in progress.
        for start in range(0, len(silent), PRUNE_BATCH):
            batch = silent[start : start + PRUNE_BATCH]
            gone += await self._run(partial(self._forget_silent, batch=batch, before=before))
        if silent:
            await asyncio.to_thread(self._checkpointer.truncate)
        return gone

    def _forget_silent(self, db: sqlite3.Connection, batch: list[str], before: float) -> int:
        self._recent.clear()
        forgotten.mark(db)
        return conversations.forget_silent(db, batch, before)

    # --- totals

    async def add_totals(self, key: str, amounts: Mapping[str, float], *, request_id: str = "") -> dict[str, float]:
        # `request_id` is not needed: if this raises StoreError, the transaction was rolled back.
        return await self._run(lambda db: totals.add(db, key, amounts))

    async def totals(self, prefix: str) -> dict[str, dict[str, float]]:
        return await self._run(lambda db: totals.read(db, prefix))

    async def drop_totals(self, prefix: str, *, before: str) -> None:
        await self._run(lambda db: totals.drop(db, prefix, before))

    # --- other workers

    async def alive(self, owner: str) -> bool:
        return owner == self.owner or await asyncio.to_thread(worker_alive, self.path, owner)

    async def signal(self, owner: str, signal: Signal) -> None:
        if owner == self.owner:
            self._receive(signal)
        else:
            await self._run(lambda db: conversations.send(db, owner, signal))

    def on_signal(self, receive: Callable[[Signal], None]) -> None:
        self._receive = receive

    async def _poll(self) -> None:
        """Check the files, and check for signals to this worker whenever another worker has written to the database."""
        seen = None
        while self._connection is not None:
            try:
                self._files.check()
                # `data_version` changes when another connection has written. Reading it takes two microseconds.
                version = self._connection.execute("PRAGMA data_version").fetchone()[0]
                if version != seen:
                    seen = version
                    await self._take_signals(self._connection)
            except (sqlite3.Error, StoreError) as error:
                seen = None
                logger.trace("Signals could not be read; retrying: {}", error)
            await asyncio.sleep(SIGNAL_POLL_SECONDS)

    async def _take_signals(self, db: sqlite3.Connection) -> None:
        if db.execute("SELECT 1 FROM signals WHERE owner = ?", (self.owner,)).fetchone():
            for signal in await self._run(lambda db: conversations.take_signals(db, self.owner)):
                self._receive(signal)

    # --- jobs

    async def enqueue(self, job: Job) -> bool:
        return await self._run(lambda db: jobs.enqueue(db, job))

    async def lease(self, *, now: float, seconds: float, only: Sequence[str] = ()) -> Job | None:
        return await self._run(lambda db: jobs.lease(db, now, seconds, only))

    async def pending_jobs(self) -> list[Job]:
        return await self._read_beside(jobs.pending)

    async def is_pending(self, job: Job) -> bool:
        return await self._run(lambda db: jobs.is_pending(db, job))

    async def renew(self, job: Job, *, until: float) -> None:
        await self._run(lambda db: jobs.renew(db, job, until))

    async def save_attempt(self, job: Job) -> None:
        await self._run(lambda db: jobs.save_attempt(db, job))

    async def settle(self, job: Job, *, retry_at: float | None = None) -> None:
        await self._run(lambda db: jobs.settle(db, job, retry_at))
