"""Fixtures: a server that plays the platform's REST API (`far_side.py`), and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from layercode_app.platform.client import PlatformClient

from .client_of import client_of
from .far_side import FarSide, far_side


@pytest.fixture
async def far() -> AsyncIterator[FarSide]:
    async with far_side() as side:
        yield side


@pytest.fixture
async def client(far: FarSide) -> AsyncIterator[PlatformClient]:
    async with client_of(far.url) as client:
        yield client
