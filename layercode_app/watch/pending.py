"""Collect usage figures and other counts in memory, and add them to totals in the journal: one write for many turns."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from loguru import logger

from ..exceptions import StoreError
from ..journal.stores.base import Store

WRITE_SECONDS = 0.05
"""How long amounts are batched. A `kill -9` loses only pending totals; the turns themselves are in the journal."""
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Batch:
    """Amounts that are written together. All attempts have the same id, so that the store adds the amounts once."""

    key: str
    amounts: Mapping[str, float]
    id: str = field(default_factory=lambda: uuid4().hex)


class PendingTotals:
    """Amounts in memory, which are added to totals in the journal after `seconds`. Needs a running event loop.

    Each total is stored under a key, and consists of several named amounts.
    """

    def __init__(self, store: Store, *, seconds: float = WRITE_SECONDS) -> None:
        self._store = store
        self._seconds = seconds
        self._waiting: dict[str, dict[str, float]] = {}
        self._failed: deque[_Batch] = deque()
        """The batches that must be sent again.

        The store may already have added their amounts, so later amounts are never added to these batches.
        """
        self._sending: set[asyncio.Task[StoreError | None]] = set()
        self._writer: asyncio.Task[None] | None = None
        self._stopping = False

    def add(self, key: str, amounts: Mapping[str, float]) -> None:
        """Queue amounts. The next batch adds them to the totals under the key."""
        waiting = self._waiting.setdefault(key, {})
        for name, amount in amounts.items():
            waiting[name] = waiting.get(name, 0.0) + amount
        if self._writer is None or self._writer.done():  # It is done if its event loop was closed before it ran.
            self._writer = asyncio.create_task(self._write(), name="pending-totals")

    async def _write(self) -> None:
        try:
            while (self._waiting or self._failed) and not self._stopping:
                await asyncio.sleep(self._seconds)
                await self._try()
        finally:
            self._writer = None

    async def _try(self) -> None:
        try:
            await self.flush()
        except StoreError as error:
            logger.trace("The pending totals could not be written and will be written later: {}", error)
            await asyncio.sleep(RETRY_SECONDS)

    async def flush(self) -> None:
        """Write the pending amounts now. Raises StoreError; amounts that were not written stay pending."""
        while batch := self._next_batch():
            # If the turn that waits for this write is interrupted, the write goes on: the amounts are of other turns.
            if error := await asyncio.shield(self._begin(batch)):
                raise error

    def _begin(self, batch: _Batch) -> asyncio.Task[StoreError | None]:
        sending = asyncio.create_task(self._send(batch), name="pending-totals")
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        return sending

    async def _send(self, batch: _Batch) -> StoreError | None:
        """Write a batch. If that fails, keep the batch, and return the error.

        The error is not raised: if the turn that waits was interrupted, asyncio would log it as one that was not handled.
        """
        try:
            await self._store.add_totals(batch.key, batch.amounts, request_id=batch.id)
        except StoreError as error:
            self._failed.append(batch)
            return error
        return None

    def _next_batch(self) -> _Batch | None:
        if self._failed:
            return self._failed.popleft()
        return _Batch(*self._waiting.popitem()) if self._waiting else None

    async def stop(self) -> None:
        """Write the pending amounts. Amounts that cannot be written are lost."""
        self._stopping = True
        if self._writer is not None and not self._writer.done():
            await self._writer
        self._stopping = False
        await asyncio.gather(*self._sending)
        try:
            await self.flush()
        except StoreError as error:
            logger.warning("The usage of the last turns could not be counted: {}", error)
