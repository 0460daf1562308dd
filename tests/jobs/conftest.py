"""The journal that holds the jobs of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = create_store(f"sqlite:///{tmp_path}/journal.sqlite3")
    await opened.open()
    yield opened
    await opened.close()
