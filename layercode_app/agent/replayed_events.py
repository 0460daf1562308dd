"""Iterate over all events of a stream whose first event was already read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any


class ReplayedEvents:
    """Iterates over a stream's events, including the first event, which was already read (None if there was none)."""

    __slots__ = ("_events", "_first")

    def __init__(self, first: Any, events: AsyncIterator[Any]) -> None:
        self._first = first
        self._events = events

    def __aiter__(self) -> ReplayedEvents:
        return self

    def __anext__(self) -> Awaitable[Any]:
        # Return the stream's own awaitable: this adds no coroutine to each event.
        return self._events.__anext__() if self._first is None else self._take_first()

    async def _take_first(self) -> Any:
        first, self._first = self._first, None
        return first

    async def aclose(self) -> None:
        """Close the stream's events, if they can be closed."""
        close = getattr(self._events, "aclose", None)
        if close is not None:
            await close()
