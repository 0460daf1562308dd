"""An answer of one text is sent together with its end frame, unless saving the turn is slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from layercode_app import LayerCode, Message, Turn, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.conversation.listener import Listener
from layercode_app.journal.record import END, TTS, Frame, TurnRecord
from layercode_app.journal.stores.memory import MemoryStore

from ..calling import settings
from ..waiting import until

pytestmark = pytest.mark.anyio


class SlowStore(MemoryStore):
    """A store whose saves wait until the test sets `through`."""

    def __init__(self) -> None:
        super().__init__()
        self.through = asyncio.Event()

    async def save(self, record: TurnRecord, **named: Any) -> bool:
        await self.through.wait()
        return await super().save(record, **named)


async def whole(turn: Turn) -> str:
    return "all of it"


async def pieces(turn: Turn) -> AsyncIterator[str]:
    yield "one"
    yield "two"


@asynccontextmanager
async def answering(hook: Callable[..., Any], store: SlowStore, folder: Path) -> AsyncIterator[list[list[str]]]:
    """Answer one turn. Yield a list with an entry for each write: the types of the frames sent together."""
    agent = VoiceAgent("whole")
    agent.on_message(hook)
    app = LayerCode(agent, settings=settings(folder), store=store)
    sent: list[list[str]] = []

    async def carry(frames: Sequence[Frame]) -> None:
        sent.append([frame.type for frame in frames])

    event = Message(session_id="s", conversation_id="c", turn_id="t", text="hello")
    turn = asyncio.ensure_future(
        app.turns.admit(AgentRunner(agent), event, Listener(carry), received=time.perf_counter())
    )
    try:
        yield sent
    finally:
        store.through.set()
        await asyncio.wait_for(turn, 100)


async def test_one_text_leaves_with_its_end(tmp_path: Path) -> None:
    store = SlowStore()
    store.through.set()
    async with answering(whole, store, tmp_path) as sent:
        await until(lambda: bool(sent))
    assert sent == [[TTS, END]]


async def test_one_text_does_not_wait_for_a_slow_journal(tmp_path: Path) -> None:
    async with answering(whole, SlowStore(), tmp_path) as sent:
        await until(lambda: bool(sent))
        assert sent == [[TTS]]
    assert sent == [[TTS], [END]]


async def test_pieces_leave_at_once(tmp_path: Path) -> None:
    async with answering(pieces, SlowStore(), tmp_path) as sent:
        await until(lambda: len(sent) == 2)
        assert sent == [[TTS], [TTS]]
    assert sent == [[TTS], [TTS], [END]]
