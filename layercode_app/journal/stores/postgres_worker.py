"""A worker's presence in PostgreSQL: a row that it renews while it runs, and the signals that it receives."""

from __future__ import annotations

import asyncio

import psycopg
from loguru import logger

from ...exceptions import StoreError
from ..record_json import to_json
from .base import REMEMBER_SECONDS, Signal
from .postgres_link import Link, bounded
from .presence import KEPT_SECONDS, LEASE_SECONDS, SILENCE_SECONDS, Lease, Presence
from .sqlite_conversations import signal_of

POLL_SECONDS = 0.1
"""Seconds between polls for signals if no notifications arrive: a pooler in transaction mode drops LISTEN."""
INBOX_SECONDS = 60

_RENEW = """
INSERT INTO layercode.workers (owner, alive_until) VALUES (%s, clock_timestamp() + %s * interval '1 second')
ON CONFLICT (owner) DO UPDATE SET alive_until = excluded.alive_until
"""
_LEASE = "SELECT alive_until > clock_timestamp() FROM layercode.workers WHERE owner = %s"
_SEND = "WITH sent AS (INSERT INTO layercode.signals (owner, body) VALUES (%s, %s)) SELECT pg_notify(%s, '')"
_TAKE = "DELETE FROM layercode.signals WHERE owner = %s RETURNING id, body"
_CLEAN = """
WITH dead AS (DELETE FROM layercode.workers WHERE alive_until < clock_timestamp() - %s * interval '1 second'),
old AS (DELETE FROM layercode.applied WHERE at < clock_timestamp() - %s * interval '1 second')
DELETE FROM layercode.signals WHERE sent_at < clock_timestamp() - %s * interval '1 second'
"""


class Worker(Presence[Link]):
    """Renews this worker's row and receives its signals. These tasks resume by themselves after an outage."""

    errors = (StoreError, psycopg.Error, OSError, TimeoutError)

    async def renew(self) -> None:
        clean = (_CLEAN, (KEPT_SECONDS, REMEMBER_SECONDS, INBOX_SECONDS))
        await self._link.run("", (_RENEW, (self.owner, LEASE_SECONDS)), clean)

    async def lease(self, owner: str) -> Lease:
        (rows,) = await self._link.run("", (_LEASE, (owner,)))
        if not rows:
            return "none"
        return "valid" if rows[0][0] else "expired"

    async def withdraw(self) -> None:
        await self._link.run("", ("DELETE FROM layercode.workers WHERE owner = %s", (self.owner,)))

    async def send(self, owner: str, signal: Signal) -> None:
        """Store a signal for another worker and wake it."""
        await self._link.run("", (_SEND, (owner, to_json(signal), _channel(owner))))

    async def empty_inbox(self) -> None:
        for _, body in sorted((await self._link.run("", (_TAKE, (self.owner,))))[0]):
            self.receive(signal_of(body))

    async def listen(self) -> None:
        """Receive signals whenever this worker is notified. If a test notification does not arrive, poll instead."""
        connection = await self._link.connect()
        try:
            await connection.execute(f"LISTEN {_channel(self.owner)}")
            await self._link.run("", ("SELECT pg_notify(%s, '')", (_channel(self.owner),)))
            heard = False
            while True:
                notified = [note async for note in connection.notifies(timeout=SILENCE_SECONDS, stop_after=1)]
                if not notified and not heard:
                    await self._poll()
                heard = True
                self._subscribed.set()
                if notified:
                    await self.empty_inbox()
                else:
                    async with bounded(connection, SILENCE_SECONDS):
                        await connection.execute("SELECT 1")
        finally:
            await connection.close()

    async def _poll(self) -> None:
        logger.info(
            "The journal ({}) sends no notifications, perhaps because of a pooler; polling for signals.",
            self._link.component,
        )
        self._subscribed.set()
        while True:
            await self.empty_inbox()
            await asyncio.sleep(POLL_SECONDS)


def _channel(owner: str) -> str:
    return f"layercode_{owner}"
