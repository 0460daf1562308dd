"""The journal of a server: opened when it starts, and again and again while it cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from loguru import logger

from ..conversation.stores.base import Store
from ..exceptions import StoreError

REOPEN_SECONDS = 1.0


class Journal:
    """A store that may be away when the server starts. `opened` is awaited once it is open; it may raise StoreError."""

    def __init__(self, store: Store, *, opened: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._opened = opened
        self._reopening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open it; where it cannot be, callers hear the apology until it can."""
        try:
            await self._store.open()
        except StoreError as error:
            logger.error("{} Until it can be opened, callers hear the apology.", error)
            self._reopening = asyncio.create_task(self._reopen(), name="journal-reopen")
        else:
            await self._opened()

    async def _reopen(self) -> None:
        while True:
            await asyncio.sleep(REOPEN_SECONDS)
            with suppress(StoreError):
                await self._store.open()
                await self._opened()
                logger.info("The journal ({}) is open again.", self._store.component)
                return

    async def close(self) -> None:
        """Write what waits and let go."""
        if self._reopening is not None:
            self._reopening.cancel()
        await self._store.close()
