"""Fixtures: `released` is for tools that run on after their turn.

The fixtures `counter` and `heard` are for a turn that runs in one worker and is also heard by a caller of another
worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from layercode_app.conversation.states import LiveStates

from .followed import Counter, Heard, heard_at_both


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """An event for a tool that runs on after its turn: it is set when the tool's changes to the state are saved."""
    released, save_late = asyncio.Event(), LiveStates.save_late

    async def save_and_tell(states: LiveStates, *args: Any) -> None:
        await save_late(states, *args)
        released.set()

    monkeypatch.setattr(LiveStates, "save_late", save_and_tell)
    return released


@pytest.fixture
def counter(tmp_path: Path) -> Counter:
    return Counter(tmp_path)


@pytest.fixture
async def heard(counter: Counter) -> AsyncIterator[tuple[Heard, Heard]]:
    """Yield two callers that hear the same turn. Both have heard its first word.

    The turn runs in the first caller's worker. The second caller hears the turn through another worker.
    """
    async with heard_at_both(counter) as callers:
        yield callers
