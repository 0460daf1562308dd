"""What the tests of tools that outlive their turns share, and those of turns that are followed from another worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from layercode_app.conversation.states import LiveStates

from ..calling import calling
from .followed import Counter, Heard


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when the changes of a tool that outlived its turn are saved."""
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
    """A turn that runs in the first worker and is followed from the second; both have heard one word."""
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(app)) for app in counter.apps]
        callers[1].conversation_id = callers[0].conversation_id
        first = Heard(callers[0])
        counter.numbers.put_nowait("1 ")
        await first.until("1 ")
        second = Heard(callers[1])
        await second.until("1 ")
        yield first, second
        counter.numbers.put_nowait(None)
        await asyncio.wait_for(asyncio.gather(first.task, second.task), 100)
