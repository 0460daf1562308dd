"""The same tests run on every store. The fixture `worker` opens a store for each of several workers on one journal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import Store

from ...journals import SHARED, STORES, journal_url

POOLED = pytest.param("pgbouncer", marks=pytest.mark.slow)
"""PostgreSQL behind a connection pooler, which may run each transaction on another connection."""
Open = Callable[[], Awaitable[Store]]


@pytest.fixture(params=[*STORES, POOLED])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = create_store(journal_url(request.param, request, tmp_path))
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(params=[*SHARED, POOLED])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return journal_url(request.param, request, tmp_path)


@pytest.fixture
async def worker(shared_url: str) -> AsyncIterator[Open]:
    """Return a function that opens one more worker's store on the same journal. All stores are closed at the end."""
    opened: list[Store] = []

    async def open_one() -> Store:
        store = create_store(shared_url)
        await store.open()
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        await store.close()
