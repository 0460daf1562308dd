"""A debug run prints a turn's frames and tools as they happen, so that a hanging turn is visible."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import LayerCode, Turn, VoiceAgent
from layercode_app.observability import debug_run
from layercode_app.observability.privacy import masking

from ..calling import calling, settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    monkeypatch.setattr(debug_run, "verbose", True)
    found: list[str] = []
    number = logger.add(lambda line: found.append(line.strip()), level="DEBUG", format="{message}")
    yield found
    logger.remove(number)


class Hanging:
    """An agent whose tool hangs until it is let go."""

    def __init__(self) -> None:
        self.running, self.go_on = asyncio.Event(), asyncio.Event()
        inner = Agent(FunctionModel(stream_function=self._play), deps_type=Turn)
        inner.tool_plain(self.look_up)
        self.voice: VoiceAgent[Any, Any] = VoiceAgent("hanging", inner)

    async def _play(self, messages: list[ModelMessage], info: AgentInfo) -> Any:
        if len(messages) > 1:
            yield "Found it."
            return
        yield "Let me see."
        yield {1: DeltaToolCall(name="look_up", json_args='{"what": "marzipan"}', tool_call_id="c1")}

    async def look_up(self, what: str) -> str:
        self.running.set()
        await self.go_on.wait()
        return "yes"


def shown(lines: list[str], begin: str) -> list[str]:
    return [line for line in lines if line.startswith(begin)]


@pytest.mark.parametrize("captured", [False, True])
async def test_a_turn_that_hangs_shows_how_far_it_came(captured: bool, tmp_path: Path, lines: list[str]) -> None:
    masking.configure(capture_content=captured)
    hanging = Hanging()
    try:
        async with calling(LayerCode(hanging.voice, settings=settings(tmp_path))) as caller:
            saying = asyncio.create_task(caller.say("hello"))
            await asyncio.wait_for(hanging.running.wait(), 100)
            assert len(shown(lines, "frame response.tts at")) == 1
            assert len(shown(lines, "tool look_up")) == 1
            assert " started at " in shown(lines, "tool look_up")[0]
            assert not shown(lines, "turn complete")
            hanging.go_on.set()
            await saying
    finally:
        masking.configure()
    assert len(shown(lines, "frame ")) == 3
    assert len(shown(lines, "frame response.end at")) == 1
    assert [line for line in shown(lines, "tool look_up") if " done after " in line]
    assert any("Let me see." in line for line in lines) is captured
    assert any("marzipan" in line for line in lines) is captured


def test_frames_of_other_runs_are_a_plain_list() -> None:
    assert type(debug_run.new_frames()) is list
