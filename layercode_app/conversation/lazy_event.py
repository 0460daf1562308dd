"""A one-time event that is cheap while no task waits for it."""

from __future__ import annotations

import asyncio


class LazyEvent:
    """An event that creates an `asyncio.Event` only when a task waits for it.

    Every running turn has several LazyEvents. Each is a tenth of the size of an `asyncio.Event`.
    """

    __slots__ = ("_waiting", "past")

    def __init__(self) -> None:
        self.past = False
        """Whether the event is set."""
        self._waiting: asyncio.Event | None = None

    def set(self) -> None:
        """Set the event and wake the waiting tasks."""
        self.past = True
        if self._waiting is not None:
            self._waiting.set()

    def clear(self) -> None:
        """Clear the event."""
        self.past, self._waiting = False, None

    async def wait(self) -> None:
        """Wait until the event is set; return at once if it is."""
        if not self.past:
            self._waiting = self._waiting or asyncio.Event()
            await self._waiting.wait()
