"""What happens in the emulator, live, for whoever watches. Nothing is kept: the journal has the turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

Item: TypeAlias = dict[str, Any]
"""`kind`, `at` (epoch seconds), `session_id`, `conversation_id`, `agent_id`, and what the kind brings with it.

Kinds: `session` (opened, closed), `client` and `server` (a message of either side, audio as a count of bytes),
`webhook` (an event was posted), `answer` (its status), `frame` (with `at_ms`), `turn` (over: text, heard, interrupted),
`notice` (`text`: one line that a person should know, such as a webhook that failed).
"""


class Feed:
    """Hands every item to every watcher. A watcher that is too slow loses the oldest items, never holds up a call."""

    def __init__(self, *, backlog: int = 2000) -> None:
        self._backlog = backlog
        self._watchers: set[asyncio.Queue[Item]] = set()
        self.listeners: list[Callable[[Item], None]] = []
        """Called with every item at once; none may block or raise."""

    def publish(self, item: Item) -> None:
        """Tell every watcher."""
        for listener in self.listeners:
            listener(item)
        for queue in self._watchers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(item)

    @contextmanager
    def subscribe(self) -> Iterator[AsyncIterator[Item]]:
        """Watch from now on, until the block is left."""
        queue: asyncio.Queue[Item] = asyncio.Queue(self._backlog)
        self._watchers.add(queue)
        try:
            yield _items(queue)
        finally:
            self._watchers.discard(queue)


async def _items(queue: asyncio.Queue[Item]) -> AsyncIterator[Item]:
    while True:
        yield await queue.get()
