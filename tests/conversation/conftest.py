"""What the tests of tools that outlive their turns share."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from layercode_app.conversation.states import LiveStates


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when the changes of a tool that outlived its turn are saved."""
    released, save_late = asyncio.Event(), LiveStates.save_late

    async def save_and_tell(states: LiveStates, *args: Any) -> None:
        await save_late(states, *args)
        released.set()

    monkeypatch.setattr(LiveStates, "save_late", save_and_tell)
    return released
