"""A turn's memory is freed when it ends, and caches are bounded in bytes."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelRequest, UserPromptPart

from layercode_app import LayerCode, Turn, VoiceAgent, find_agent
from layercode_app.conversation.history import ParsedMessages
from layercode_app.conversation.listener import Listener
from layercode_app.conversation.live import LiveTurn
from layercode_app.conversation.turn_lifecycle import Run
from layercode_app.stream.event_stream import EventStream
from layercode_app.testing.bench.load import Load
from layercode_app.testing.bench.measure import Target, bench

from ..calling import SECRET, settings
from ..processes import ROOT
from ..serving import serve

pytestmark = pytest.mark.anyio


Left: TypeAlias = Callable[[], list[str]]
PARTS = (LiveTurn, Listener, EventStream, Run)


@pytest.fixture
def left() -> Iterator[Left]:
    """Yield a function that lists the objects of turns that are in memory, except those of earlier tests.

    The garbage collector is off during the test, so objects in a reference cycle remain and are listed.
    """
    gc.collect()
    gc.disable()
    before = parts_of_turns()
    known = {id(one) for one in before}
    yield lambda: [type(one).__name__ for one in parts_of_turns() if id(one) not in known]
    gc.enable()


def parts_of_turns() -> list[Any]:
    # Not isinstance: it would read `__class__` of objects that other tests left, which may raise.
    return [one for one in gc.get_objects() if issubclass(type(one), PARTS)]


endless = VoiceAgent("endless")


@endless.on_message
async def talk(turn: Turn) -> Any:
    while True:
        yield "and "
        await asyncio.sleep(0.01)


async def leaves_nothing(agent: VoiceAgent[Any, Any], tmp_path: Path, load: Load, left: Left) -> None:
    app = LayerCode(agent, settings=settings(tmp_path), model="offline")
    async with serve(app) as url:
        measured = await bench(Target(agent.name, f"{url}/api/agent", SECRET), load)
        assert not gc.isenabled()
        assert (measured.turns, measured.errors) == (load.callers * load.turns, {})
        async with asyncio.timeout(100):
            while left():
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["echo", pytest.param("bakery", marks=pytest.mark.slow)])
async def test_a_turn_leaves_nothing_to_the_garbage_collector(left: Left, tmp_path: Path, name: str) -> None:
    await leaves_nothing(find_agent(name, ROOT / "agents"), tmp_path, Load(callers=2, turns=3), left)


@pytest.mark.slow
async def test_neither_does_one_that_was_spoken_over(left: Left, tmp_path: Path) -> None:
    await leaves_nothing(endless, tmp_path, Load(callers=2, turns=3, interrupt=1.0), left)


def test_parsed_messages_are_kept_within_bounds() -> None:
    chance = random.Random(1)
    kept = ParsedMessages(room=100_000)
    for _ in range(200):
        text = "x" * chance.randint(1, 5_000)
        stored = ModelMessagesTypeAdapter.dump_json([ModelRequest(parts=[UserPromptPart(text)])])
        (request,) = kept.get(stored)
        (part,) = request.parts
        assert isinstance(part, UserPromptPart)
        assert part.content == text
        assert kept.get(stored)[0] is request
        assert kept.size <= 100_000
    assert kept.size > 50_000


def test_messages_too_large_to_keep_are_parsed() -> None:
    stored = ModelMessagesTypeAdapter.dump_json([ModelRequest(parts=[UserPromptPart("x" * 200_000)])])
    kept = ParsedMessages(room=100_000)
    assert len(kept.get(stored)) == len(kept.get(stored)) == 1
    assert kept.size == 0
