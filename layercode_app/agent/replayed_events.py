"""Wrap the event stream of a model, for example to return a first event that was already read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any, Self


class WrappedEvents:
    """A base class for iterators that wrap the events of a stream. A subclass defines `__anext__`."""

    __slots__ = ("_events",)

    def __init__(self, events: AsyncIterator[Any]) -> None:
        self._events = events

    def __aiter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        """Close the stream's events, if they can be closed."""
        close = getattr(self._events, "aclose", None)
        if close is not None:
            await close()


class ReplayedEvents(WrappedEvents):
    """Iterates over all events of a stream. `first` is the event that was already read; None if the stream is empty."""

    __slots__ = ("_first",)

    def __init__(self, first: Any, events: AsyncIterator[Any]) -> None:
        super().__init__(events)
        self._first = first

    def __anext__(self) -> Awaitable[Any]:
        # Return the stream's own awaitable: this adds no coroutine to each event.
        return self._events.__anext__() if self._first is None else self._take_first()

    async def _take_first(self) -> Any:
        first, self._first = self._first, None
        return first
