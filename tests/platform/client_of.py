"""A client of the platform's REST interface for tests: its pauses take no time."""

from __future__ import annotations

from typing import Any

from layercode_app.platform.client import PlatformClient

KEY = "test-api-key-3f9a"


async def at_once(seconds: float) -> None:
    """Replace the client's `sleep`: check the length of a pause between attempts, but do not wait."""
    assert 0 < seconds <= 20


def client_of(url: str, **options: Any) -> PlatformClient:
    return PlatformClient(KEY, base_url=url, **{"timeout": 2.0, "sleep": at_once, **options})
