"""Something that happens once while a turn runs, and that hardly anybody waits for."""

from __future__ import annotations

import asyncio


class Moment:
    """Like `asyncio.Event`, of which every call that is on would hold two: this is a tenth of its size."""

    __slots__ = ("_waiting", "past")

    def __init__(self) -> None:
        self.past = False
        """Whether it has come."""
        self._waiting: asyncio.Event | None = None

    def come(self) -> None:
        """It is now: whoever waits goes on."""
        self.past = True
        if self._waiting is not None:
            self._waiting.set()

    def forget(self) -> None:
        """It has not come after all."""
        self.past, self._waiting = False, None

    async def wait(self) -> None:
        """Wait until it comes; returns at once when it is past."""
        if not self.past:
            self._waiting = self._waiting or asyncio.Event()
            await self._waiting.wait()
