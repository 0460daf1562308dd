"""A worker's presence in Redis: two keys that it renews while it runs, and the signals that it receives."""

from __future__ import annotations

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from ...exceptions import StoreError
from ..record_json import to_json
from .base import Signal
from .presence import KEPT_SECONDS, LEASE_SECONDS, SILENCE_SECONDS, Lease, Presence
from .redis_link import Link
from .sqlite_conversations import signal_of

INBOX_SECONDS = 60


class Worker(Presence[Link]):
    """Renews this worker's keys and receives signals for this worker.

    These tasks resume by themselves after an outage.
    """

    errors = (StoreError, RedisError, OSError, TimeoutError)

    async def renew(self) -> None:
        await self._link.run(
            ("SET", _key(self.owner), "1", "PX", int(LEASE_SECONDS * 1000)),
            ("SET", _kept(self.owner), "1", "EX", KEPT_SECONDS),
        )

    async def lease(self, owner: str) -> Lease:
        valid, kept = await self._link.run(("EXISTS", _key(owner)), ("EXISTS", _kept(owner)))
        return "valid" if valid else "expired" if kept else "none"

    async def withdraw(self) -> None:
        await self._link.run(("DEL", _key(self.owner), _kept(self.owner), _inbox(self.owner)))

    async def send(self, owner: str, signal: Signal) -> None:
        """Publish a signal to another worker. If that worker is not subscribed, put the signal into its inbox."""
        body = to_json(signal)
        if not (await self._link.run(("PUBLISH", _channel(owner), body)))[0]:
            await self._link.run(("RPUSH", _inbox(owner), body), ("EXPIRE", _inbox(owner), INBOX_SECONDS))

    async def empty_inbox(self) -> None:
        for body in (await self._link.run(("LPOP", _inbox(self.owner), 1000)))[0] or ():
            self.receive(signal_of(body))

    async def listen(self) -> None:
        async with self._link.client.pubsub() as subscription:
            await subscription.subscribe(_channel(self.owner))
            asked = False
            while True:
                message = await subscription.get_message(timeout=SILENCE_SECONDS)
                if message is None:
                    if asked:
                        raise RedisConnectionError("Redis did not answer a ping on the subscription to signals")
                    await subscription.ping()
                    asked = True
                    continue
                asked = False
                if message["type"] == "subscribe":
                    self._subscribed.set()
                    await self.empty_inbox()
                elif message["type"] == "message":
                    self.receive(signal_of(message["data"]))


def _key(owner: str) -> str:
    return f"layercode:{{{owner}}}:worker"


def _kept(owner: str) -> str:
    """Return the key that remains after the worker's lease has expired. It is deleted if the worker ends the lease."""
    return f"layercode:{{{owner}}}:worker_kept"


def _inbox(owner: str) -> str:
    return f"layercode:{{{owner}}}:inbox"


def _channel(owner: str) -> str:
    return f"layercode:{{{owner}}}:signals"
