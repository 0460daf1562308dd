"""Send statements to a PostgreSQL server in batches. The statements of one event loop tick share a round trip.

Round trips have a timeout. A batch is one transaction. If a statement fails, each operation of the batch runs again in
a separate transaction, so that a failed operation does not fail the others. No statement is prepared, so a connection
pooler may move each transaction to another connection.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, LiteralString, TypeAlias

import psycopg
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ...exceptions import ConfigurationError, StoreError
from .batches import IN_FLIGHT, Batches

Connection: TypeAlias = psycopg.AsyncConnection[Any]
Statement: TypeAlias = tuple[LiteralString, Sequence[Any]]
Rows: TypeAlias = list[tuple[Any, ...]]

ANSWER_SECONDS = 2.0
"""Timeout of a round trip, and of its single retry. If both time out, the journal counts as down."""
READ_SECONDS = 60.0
"""Timeout of a query that a report makes."""
CONNECT_SECONDS = 2
LARGEST_BATCH = 50
"""Maximum operations in one round trip, so that its time stays far below ANSWER_SECONDS."""
_CONFLICTS = ("40001", "40P01")
"""The SQLSTATE codes of serialization failures and deadlocks, which a retry resolves."""
_READ_ONLY = "25006"
"""The SQLSTATE code of a write to a server that has become a replica."""


@dataclass(slots=True)
class _Operation:
    """Statements that succeed or fail together. `key` names what they lock, such as a conversation."""

    key: str
    statements: Sequence[Statement]
    done: asyncio.Future[list[Rows]]


class Link:
    """Sends operations in batches. An operation whose answer was lost is sent once more."""

    def __init__(self, url: str) -> None:
        self.component = component_of(url)
        # Our text is UTF-8, even if the database has another default for its clients.
        own: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "layercode",
            "client_encoding": "utf8",
        }
        self._conninfo = make_conninfo(url, **own)
        self._idle: list[Connection] = []
        self._batches: Batches[_Operation] = Batches(self._fly_sorted, largest=LARGEST_BATCH)

    async def close(self) -> None:
        """Send pending operations and close the connections."""
        await self._batches.drain()
        await self._drop_idle()

    async def run(self, key: str, *statements: Statement) -> list[Rows]:
        """Run statements in one transaction and return the rows of each.

        If the answer is lost, the statements are sent again, so it must be safe to commit them twice. `key` names what
        they lock, such as a conversation; calls with the same key are committed in order. Raises StoreError, for
        example if a round trip takes longer than ANSWER_SECONDS. Before its round trip, a call may have to wait for a
        connection, or for an earlier call with the same key.
        """
        operation = _Operation(key, statements, asyncio.get_running_loop().create_future())
        self._batches.add(key, operation)
        return await operation.done

    async def read(self, statement: LiteralString, parameters: Sequence[Any]) -> Rows:
        """Return the rows of a query that may take long, on a connection that no turn waits for. Raises StoreError."""
        try:
            async with self._connection() as connection, bounded(connection, READ_SECONDS):
                return await (await connection.cursor(binary=True).execute(statement, parameters)).fetchall()
        except _Lost as lost:
            raise self.explain(lost.reason) from lost
        except psycopg.Error as error:
            raise self.explain(error) from error

    async def connect(self) -> Connection:
        """Open a connection. Raises psycopg.Error."""
        connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True, prepare_threshold=None)
        connection.adapters.register_loader("json", _Json)
        return connection

    def explain(self, error: Exception) -> StoreError:
        """Return a StoreError that contains the server's name and the reason, but not the password."""
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        # Errors that the server sent have a SQLSTATE; its classes 08 and 57 are problems of the connection.
        state = getattr(error, "sqlstate", None) or "08"
        down = isinstance(error, psycopg.OperationalError | OSError) and state[:2] in ("08", "57")
        hint = " Is the server up and reachable?" if down else ""
        return StoreError(f"The journal ({self.component}) failed: {reason.rstrip('.')}.{hint}")

    # --- batches

    async def _fly_sorted(self, batch: list[_Operation]) -> None:
        # Sort by key: workers that lock the same rows in the same order cannot deadlock.
        await self._fly(sorted(batch, key=lambda operation: operation.key))

    async def _fly(self, batch: list[_Operation], *, again: bool = False) -> None:
        try:
            await self._send(batch)
        except _Lost as lost:
            if again:
                self._fail(batch, lost.reason)
                return
            await self._drop_idle()
            await self._fly(batch, again=True)
        except psycopg.Error as error:
            if len(batch) == 1 and error.sqlstate in _CONFLICTS and not again:
                await self._fly(batch, again=True)
            elif len(batch) == 1:
                self._fail(batch, error)
            else:
                for operation in batch:
                    await self._fly([operation], again=again)
        except Exception as error:  # noqa: BLE001 - after any error, no operation may wait for ever
            self._fail(batch, error)

    async def _drop_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()

    async def _send(self, batch: list[_Operation]) -> None:
        """Run a batch and set the results of its operations.

        Raises _Lost if the connection broke, and psycopg.Error for any other failure.
        """
        async with self._connection() as connection:
            try:
                async with bounded(connection, ANSWER_SECONDS):
                    results = await _pipeline(connection, batch)
            except (psycopg.Error, OSError) as error:
                if connection.closed or getattr(error, "sqlstate", None) == _READ_ONLY:
                    await connection.close()
                    raise _Lost(error) from error
                raise
        for operation, result in zip(batch, results, strict=True):
            if not operation.done.done():
                operation.done.set_result(result)

    def _fail(self, batch: list[_Operation], error: Exception) -> None:
        for operation in batch:
            if not operation.done.done():
                operation.done.set_exception(self.explain(error))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """Yield an idle connection, or open a new one. Raises _Lost if no connection can be opened."""
        try:
            connection = self._idle.pop() if self._idle else await self.connect()
        except (psycopg.Error, OSError) as error:
            raise _Lost(error) from error
        try:
            yield connection
        finally:
            if not connection.closed and len(self._idle) < IN_FLIGHT:
                self._idle.append(connection)
            else:
                await connection.close()


class _Lost(Exception):  # noqa: N818 - it never leaves this module
    """No connection could be opened, the connection broke, or its server has become a replica.

    If the connection broke, it is not known whether the batch was committed.
    """

    def __init__(self, reason: Exception) -> None:
        self.reason = reason


class _Json(Loader):
    """Returns a json value as the stored bytes, without decoding it."""

    format = psycopg.pq.Format.BINARY

    def load(self, data: Any) -> bytes:
        return bytes(data)


async def _pipeline(connection: Connection, batch: list[_Operation]) -> list[list[Rows]]:
    cursors: list[list[psycopg.AsyncCursor[Any]]] = []
    async with connection.pipeline():
        for operation in batch:
            opened = [connection.cursor(binary=True) for _ in operation.statements]
            for cursor, (text, parameters) in zip(opened, operation.statements, strict=True):
                await cursor.execute(text, parameters)
            cursors.append(opened)
    return [[await cursor.fetchall() if cursor.description else [] for cursor in opened] for opened in cursors]


@asynccontextmanager
async def bounded(connection: Connection, seconds: float) -> AsyncIterator[None]:
    """Close the connection if the block takes longer than `seconds`. Raises psycopg.OperationalError then.

    Cancelling the call instead could hang: psycopg then asks the server to cancel the query, and waits for its answer.
    """
    timer = asyncio.get_running_loop().call_later(seconds, _break, connection)
    try:
        yield
    except psycopg.OperationalError as error:
        if timer.when() <= asyncio.get_running_loop().time():
            raise psycopg.OperationalError(f"no answer within {seconds:g} s") from error
        raise
    finally:
        timer.cancel()


def _break(connection: Connection) -> None:
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.shutdown(socket.SHUT_RDWR)


def component_of(url: str) -> str:
    """Return host, port and database from the URL, for messages. Raises ConfigurationError for an invalid URL."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        raise ConfigurationError(
            "LAYERCODE_STORE is not a PostgreSQL URL; expected postgresql://HOST:PORT/DB"
        ) from None
    if "@" in str(parts.get("host") or ""):
        raise ConfigurationError("LAYERCODE_STORE has an @ in its user name or password; write %40 instead of this @")
    name = parts.get("dbname") or parts.get("user") or ""
    return f"postgresql {parts.get('host') or 'localhost'}:{parts.get('port') or 5432}/{name}"
