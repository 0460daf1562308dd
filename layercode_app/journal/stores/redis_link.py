"""Send commands to a Redis server in batches. The commands of one event loop tick share a round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import redis.asyncio
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from ...exceptions import ConfigurationError, StoreError
from .batches import IN_FLIGHT, Batches

Command: TypeAlias = tuple[Any, ...]

ANSWER_SECONDS = 2.0
"""Timeout of a round trip, including reconnecting and one retry. After this time the journal counts as down."""
CONNECT_SECONDS = 1.0
LARGEST_BATCH = 500
"""Maximum operations in one round trip."""


@dataclass(slots=True)
class _Operation:
    """Commands that run in order, and their replies."""

    commands: Sequence[Command]
    replies: list[asyncio.Future[Any]]


class Link:
    """Sends commands in batches. A command whose reply was lost is sent once more, so it may run twice."""

    def __init__(self, url: str) -> None:
        self.component = component_of(url)
        options: dict[str, Any] = {"protocol": 2, "retry": Retry(NoBackoff(), 1), "max_connections": IN_FLIGHT + 8}
        self.client = redis.asyncio.Redis.from_url(
            url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=CONNECT_SECONDS, **options
        )
        self._batches: Batches[_Operation] = Batches(self._fly, largest=LARGEST_BATCH)

    async def close(self) -> None:
        """Send pending commands and close the connections."""
        await self._batches.drain()
        await self.client.aclose()

    async def run(self, *commands: Command, key: str = "") -> list[Any]:
        """Run commands in order and return their replies. Calls with the same `key` run in order too.

        Raises StoreError. A round trip times out after ANSWER_SECONDS, but a command may first wait for earlier round
        trips.
        """
        loop = asyncio.get_running_loop()
        operation = _Operation(commands, [loop.create_future() for _ in commands])
        self._batches.add(key, operation)
        return [await reply for reply in operation.replies]

    async def script(self, text: str, keys: Sequence[str], *arguments: Any, around: Sequence[Command] = ()) -> Any:
        """Run a Lua script and return its reply. The commands in `around` run before it, and again after it.

        Scripts with the same first key run in order.
        """
        digest = _digests.get(text) or _digests.setdefault(text, sha1(text.encode(), usedforsecurity=False).hexdigest())
        try:
            script = ("EVALSHA", digest, len(keys), *keys, *arguments)
            return (await self.run(*around, script, *around, key=keys[0]))[len(around)]
        except NoScriptError:
            # The server has not cached the script, because it was restarted or never got the script.
            return (await self.run(("EVAL", text, len(keys), *keys, *arguments), *around, key=keys[0]))[0]

    # --- batches

    async def _fly(self, batch: list[_Operation]) -> None:
        commands = [command for operation in batch for command in operation.commands]
        replies = [reply for operation in batch for reply in operation.replies]
        try:
            answers = await self._send(commands)
        except (RedisError, OSError, TimeoutError) as error:
            answers = [error] * len(commands)
        for future, answer in zip(replies, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(self._explain(answer))
                # Mark the error as retrieved: `run` raises only the first error; asyncio would warn about the others.
                future.exception()
            else:
                future.set_result(answer)

    async def _send(self, commands: list[Command]) -> list[Any]:
        async with asyncio.timeout(ANSWER_SECONDS):
            if len(commands) == 1:
                return [await self.client.execute_command(*commands[0])]  # type: ignore[no-untyped-call]
            async with self.client.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                return await pipeline.execute(raise_on_error=False)

    def _explain(self, error: Exception) -> Exception:
        if isinstance(error, NoScriptError):
            return error
        reason = str(error) or f"no answer within {ANSWER_SECONDS:g} s"
        return StoreError(f"The journal ({self.component}) failed: {reason}. Is the server up and reachable?")


_digests: dict[str, str] = {}


def component_of(url: str) -> str:
    """Return host, port and database from the URL, for messages. Raises ConfigurationError for an invalid URL."""
    try:
        parse_url(url)
        parts = urlsplit(url)
        return f"redis {parts.hostname or 'localhost'}:{parts.port or 6379}{parts.path}"
    except ValueError:
        raise ConfigurationError("LAYERCODE_STORE is not a Redis URL; expected redis://HOST:PORT/DB") from None
