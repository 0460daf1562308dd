"""A worker's presence in Redis: a key that it renews while it lives, and the signals that it receives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from loguru import logger
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from ...exceptions import StoreError
from ..record_json import to_json
from .base import Signal
from .redis_link import ANSWER_SECONDS, Link
from .sqlite_conversations import signal_of

LEASE_SECONDS = 3.0
"""Time to live of a worker's key: a worker that stops renewing it counts as dead after this time."""
BEAT_SECONDS = 1.0
SILENCE_SECONDS = 2.0
"""After this time without a message the subscription is pinged; after as much again without a reply it is renewed."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
INBOX_SECONDS = 60


class Worker:
    """Renews this worker's key and receives its signals. Both resume by themselves after an outage."""

    def __init__(self) -> None:
        self.owner = uuid4().hex
        self.receive: Callable[[Signal], None] = lambda signal: None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, link: Link) -> None:
        """Set the key and subscribe to the signals. Raises StoreError."""
        self._link = link
        self._down = False
        self._unsure_until = 0.0
        await self._beat()
        self._subscribed = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._persist(self._beat_on), name="journal-lease"),
            asyncio.create_task(self._persist(self._listen), name="journal-signals"),
        ]
        with suppress(TimeoutError):
            await asyncio.wait_for(self._subscribed.wait(), ANSWER_SECONDS)

    async def stop(self) -> None:
        """Delete the key: from now on other workers regard this one as dead."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        with suppress(StoreError):
            await self._link.run(("DEL", _key(self.owner), _inbox(self.owner)))

    async def alive(self, owner: str) -> bool:
        """Return whether a worker's key exists.

        During an outage, and for LEASE_SECONDS after it, wait for the other worker to renew its key.
        """
        loop = asyncio.get_running_loop()
        while not (await self._link.run(("EXISTS", _key(owner))))[0]:
            if not self._down and loop.time() >= self._unsure_until:
                return False
            await asyncio.sleep(0.1)
        return True

    async def send(self, owner: str, signal: Signal) -> None:
        """Publish a signal to another worker; if it is not subscribed now, put the signal into its inbox."""
        body = to_json(signal)
        if not (await self._link.run(("PUBLISH", _channel(owner), body)))[0]:
            await self._link.run(("RPUSH", _inbox(owner), body), ("EXPIRE", _inbox(owner), INBOX_SECONDS))

    # --- tasks that are restarted after errors

    async def _persist(self, work: Callable[[], Any]) -> None:
        pause = FIRST_PAUSE
        while True:
            started = asyncio.get_running_loop().time()
            try:
                await work()
            except (StoreError, RedisError, OSError, TimeoutError) as error:
                if not self._down:
                    logger.warning("The journal ({}) is away: {}", self._link.component, error)
                self._down = True
            lasted = asyncio.get_running_loop().time() - started
            pause = FIRST_PAUSE if lasted > LEASE_SECONDS else min(pause * 2, LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _beat_on(self) -> None:
        while True:
            await self._beat()
            await self._empty_inbox()
            await asyncio.sleep(BEAT_SECONDS)

    async def _beat(self) -> None:
        await self._link.run(("SET", _key(self.owner), "1", "PX", int(LEASE_SECONDS * 1000)))
        if self._down:
            self._down = False
            self._unsure_until = asyncio.get_running_loop().time() + LEASE_SECONDS
            logger.info("The journal ({}) is back.", self._link.component)

    async def _empty_inbox(self) -> None:
        for body in (await self._link.run(("LPOP", _inbox(self.owner), 1000)))[0] or ():
            self.receive(signal_of(body))

    async def _listen(self) -> None:
        async with self._link.client.pubsub() as subscription:
            await subscription.subscribe(_channel(self.owner))
            asked = False
            while True:
                message = await subscription.get_message(timeout=SILENCE_SECONDS)
                if message is None:
                    if asked:
                        raise RedisConnectionError("the subscription is silent")
                    await subscription.ping()
                    asked = True
                    continue
                asked = False
                if message["type"] == "subscribe":
                    self._subscribed.set()
                    await self._empty_inbox()
                elif message["type"] == "message":
                    self.receive(signal_of(message["data"]))


def _key(owner: str) -> str:
    return f"layercode:{{{owner}}}:worker"


def _inbox(owner: str) -> str:
    return f"layercode:{{{owner}}}:inbox"


def _channel(owner: str) -> str:
    return f"layercode:{{{owner}}}:signals"
