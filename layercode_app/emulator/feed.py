"""Publish the emulator's events live. The feed stores nothing; turns are stored in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

Item: TypeAlias = dict[str, Any]
"""An event: `kind`, `at` (epoch seconds), `session_id`, `conversation_id`, `agent_id`, and more fields for each kind.

Kinds: `session` (opened, closed), `client` and `server` (a message from that side, with the size of audio instead of
the audio), `webhook` (an event was posted), `answer` (the backend's `status`), `frame` (one event of the backend's
stream), `turn` (a turn is over: `text`, `heard`, `interrupted`), `notice` (`text` is one line for a person, for example
about a failed webhook). If `dropped` is true in a `webhook`, the event was not posted. The development server also
publishes `journal`, `reload` and `simulated` (a change of the journal, of the agents and of a simulated call). These
three kinds have no `at`.
"""


class Feed:
    """Passes every item to all subscribers. A slow subscriber loses the oldest items, so it never delays a call."""

    def __init__(self, *, backlog: int = 2000) -> None:
        self._backlog = backlog
        self._watchers: set[asyncio.Queue[Item]] = set()
        self.listeners: list[Callable[[Item], None]] = []
        """Functions that are called with every item. They must not block or raise."""

    def tell_notices(self, tell: Callable[[str], object]) -> None:
        """Call `tell` with the line of each notice from now on."""

        def listen(item: Item) -> None:
            if item["kind"] == "notice":
                tell(item["text"])

        self.listeners.append(listen)

    def publish(self, item: Item) -> None:
        """Pass an item to every function in `listeners` and to every subscription."""
        for listener in self.listeners:
            listener(item)
        for queue in self._watchers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(item)

    @contextmanager
    def subscribe(self) -> Iterator[AsyncIterator[Item]]:
        """In a `with` block, yield an iterator over the items that are published until the block ends."""
        queue: asyncio.Queue[Item] = asyncio.Queue(self._backlog)
        self._watchers.add(queue)
        try:
            yield _items(queue)
        finally:
            self._watchers.discard(queue)


async def _items(queue: asyncio.Queue[Item]) -> AsyncIterator[Item]:
    while True:
        yield await queue.get()
