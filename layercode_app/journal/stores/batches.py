"""Send operations to a server in batches. The operations of one event loop tick share a round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")

IN_FLIGHT = 4
"""Maximum concurrent round trips. Operations that are added meanwhile wait, and share the next round trip."""


class Batches(Generic[T]):
    """Sends operations in batches over a few connections. Operations with the same key arrive in order.

    `send` is the function that sends a batch in one round trip. It must not raise. Operations whose key is "" are not
    ordered.
    """

    def __init__(self, send: Callable[[list[T]], Coroutine[Any, Any, None]], *, largest: int) -> None:
        self._send = send
        self._largest = largest
        self._waiting: list[tuple[str, T]] = []
        self._flights: dict[asyncio.Task[None], set[str]] = {}
        self._busy: set[str] = set()
        """The keys of operations in flight. Later operations with these keys wait.

        If they were sent at once on another connection, they could overtake the earlier ones.
        """
        self._scheduled = False

    def add(self, key: str, operation: T) -> None:
        """Send an operation in the next batch, or later if an operation with the same key is still in flight."""
        self._waiting.append((key, operation))
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._depart)

    async def drain(self) -> None:
        """Wait until all operations were sent and answered."""
        while self._flights or self._waiting:
            self._depart()
            await asyncio.wait(self._flights)

    def _depart(self) -> None:
        self._scheduled = False
        while len(self._flights) < IN_FLIGHT and (batch := self._next_batch()):
            keys = {key for key, _ in batch if key}
            self._busy |= keys
            flight = asyncio.get_running_loop().create_task(self._send([operation for _, operation in batch]))
            self._flights[flight] = keys
            flight.add_done_callback(self._landed)

    def _next_batch(self) -> list[tuple[str, T]]:
        batch: list[tuple[str, T]] = []
        left: list[tuple[str, T]] = []
        for each in self._waiting:
            (batch if len(batch) < self._largest and each[0] not in self._busy else left).append(each)
        self._waiting = left
        return batch

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._busy -= self._flights.pop(flight)
        self._depart()
