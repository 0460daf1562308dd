"""Group commit for SQLite: the operations of one event loop tick share one transaction.

Separate statements would each pay for a commit; a writer thread would pay for two thread switches per operation. Here
operations are queued, run on the event loop's thread in a few microseconds each, and share the commit. When another
worker holds the write lock, the whole batch is retried after a short pause, and the event loop is not blocked.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from ...exceptions import StoreError

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]

Entry = tuple[Operation[Any], asyncio.Future[Any]]

BUSY_SECONDS = 5.0
"""Maximum time that a batch waits for other workers to release the write lock, before it fails."""
BUSY_PAUSE_SECONDS = 0.002


class GroupCommit:
    """Runs operations on one connection, in order, in one batch per event loop tick.

    While `held()` returns true, the operations wait. `begun` is called when a transaction has begun, and `undone` when
    operations are rolled back.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        component: str,
        *,
        held: Callable[[], bool] = lambda: False,
        begun: Callable[[], None] = lambda: None,
        undone: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection = connection
        self._component = component
        self._held = held
        self._begun = begun
        self._undone = undone
        # Cache the loop, because in Python 3.11 each call of `get_running_loop` makes a system call (getpid).
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Entry] = []
        self._scheduled = False
        self._busy_since: float | None = None

    def run(self, operation: Operation[T]) -> asyncio.Future[T]:
        """Run an operation in the next batch; return a future that gets its result after the commit.

        The future raises StoreError if SQLite failed. Any other error of the operation is raised unchanged.
        """
        done: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append((operation, done))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)
        return done

    def _flush(self) -> None:
        if self._held():
            self._loop.call_later(BUSY_PAUSE_SECONDS, self._flush)
            return
        batch, self._waiting, self._scheduled = self._waiting, [], False
        self._commit(batch)

    def _commit(self, batch: list[Entry]) -> None:
        if not self._begin(batch):
            return
        try:
            results = [operation(self._connection) for operation, _ in batch]
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - any error is passed to the caller
            self._rollback()
            if len(batch) == 1:
                self._answer(batch, [error])
            else:
                self._commit_isolated(batch)
            return
        self._answer(batch, results)

    def _commit_isolated(self, batch: list[Entry]) -> None:
        """Run each operation in its own savepoint, so that a failed operation does not fail the others."""
        if not self._begin(batch):
            return
        results: list[Any] = []
        try:
            for operation, _ in batch:
                self._connection.execute("SAVEPOINT one")
                try:
                    results.append(operation(self._connection))
                except Exception as error:  # noqa: BLE001 - as above
                    results.append(error)
                    self._connection.execute("ROLLBACK TO one")
                    self._undone()
                self._connection.execute("RELEASE one")
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            # A full disk rolls back the whole transaction, savepoints included.
            self._rollback()
            results = [error] * len(batch)
        self._answer(batch, results)

    def _begin(self, batch: list[Entry]) -> bool:
        """Begin a transaction; return false when the batch was requeued or has failed."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._wait_or_fail(batch, error)
            return False
        self._busy_since = None
        self._begun()
        return True

    def _wait_or_fail(self, batch: list[Entry], error: sqlite3.Error) -> None:
        self._busy_since = self._busy_since or self._loop.time()
        busy = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        if busy and self._loop.time() - self._busy_since < BUSY_SECONDS:
            self._waiting[:0] = batch
            self._scheduled = True
            self._loop.call_later(BUSY_PAUSE_SECONDS, self._flush)
            return
        self._busy_since = None
        self._answer(batch, [error] * len(batch))

    def _answer(self, batch: list[Entry], results: list[Any]) -> None:
        for (_, done), result in zip(batch, results, strict=True):
            if done.done():
                continue
            if isinstance(result, Exception):
                done.set_exception(self._explain(result))
            else:
                done.set_result(result)

    def _explain(self, error: Exception) -> Exception:
        if isinstance(error, sqlite3.Error):
            return StoreError(
                f"The journal ({self._component}) failed: {error}. Is its folder writable? Is its disk full?"
            )
        return error

    def _rollback(self) -> None:
        self._undone()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
