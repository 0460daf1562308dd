"""What the tests of tools that outlive their turns share."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from layercode_app.conversation.states import LiveStates


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when a tool that outlived its turn has released the state."""
    released, release = asyncio.Event(), LiveStates.release

    async def release_and_tell(states: LiveStates, *args: Any) -> None:
        await release(states, *args)
        released.set()

    monkeypatch.setattr(LiveStates, "release", release_and_tell)
    return released
