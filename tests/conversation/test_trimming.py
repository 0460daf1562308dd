"""An earlier turn that alone is larger than the history budget is shortened. Every tool call keeps its result."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai import Agent
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from layercode_app import LayerCode, VoiceAgent
from layercode_app.conversation.trimming import fit

from ..calling import calling, settings

pytestmark = pytest.mark.anyio


def exchange(result: Any, text: str = "found", call: str = "1") -> list[ModelMessage]:
    return [
        ModelRequest(parts=[UserPromptPart("look it up")]),
        ModelResponse(parts=[ToolCallPart("look_up", {"page": 1}, tool_call_id=call)]),
        ModelRequest(parts=[ToolReturnPart("look_up", result, tool_call_id=call)]),
        ModelResponse(parts=[TextPart(text)]),
    ]


def tool_result(message: ModelMessage) -> Any:
    (part,) = message.parts
    assert isinstance(part, ToolReturnPart)
    return part.content


def test_what_fits_is_left_alone() -> None:
    messages = exchange("short")
    assert fit(messages, 1000) == messages


def test_a_tools_result_is_shortened_before_what_was_said() -> None:
    said = "I found it on page one. " * 20
    messages = exchange({"page": "x" * 100_000}, said)
    short = fit(messages, 1000)
    result = tool_result(short[2])
    assert isinstance(result, str)
    assert result.startswith('{"page": "xxx')
    assert result.endswith("more characters were left out here]")
    assert len(result) < 4000
    assert short[3].parts == [TextPart(said)]
    assert tool_result(messages[2]) == {"page": "x" * 100_000}


results = st.one_of(
    st.text(max_size=60_000), st.dictionaries(st.text(max_size=5), st.text(max_size=30_000), max_size=3)
)


def test_a_picture_is_kept_as_a_picture_if_it_fits() -> None:
    picture = BinaryContent(b"\x89PNG\xff" * 100_000, media_type="image/png")
    messages = exchange(["the plan", picture])
    assert fit(messages, 2000) == messages
    short = tool_result(fit(exchange(["x" * 100_000, picture]), 2000)[2])
    assert isinstance(short, str)
    assert "PNG" not in short


@given(st.lists(st.tuples(results, st.text(min_size=1, max_size=9000)), min_size=1, max_size=6))
def test_every_call_keeps_its_result(turns: list[tuple[Any, str]]) -> None:
    messages = [m for number, (result, text) in enumerate(turns) for m in exchange(result, text, str(number))]
    short = fit(messages, 1000)
    assert [[part.part_kind for part in m.parts] for m in short] == [
        [part.part_kind for part in m.parts] for m in messages
    ]
    ids = [part.tool_call_id for m in short for part in m.parts if isinstance(part, ToolCallPart | ToolReturnPart)]
    assert ids == [str(number) for number in range(len(turns)) for _ in range(2)]
    assert sum(len(str(part.content)) for m in short for part in m.parts if hasattr(part, "content")) <= 4000


async def test_the_model_is_asked_with_a_long_result_shortened(tmp_path: Path) -> None:
    asked: list[list[ModelMessage]] = []

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        asked.append(list(messages))
        if len(asked) == 1:
            yield {0: DeltaToolCall("read", "{}", tool_call_id="1")}
            return
        yield "Done."

    agent = Agent(FunctionModel(stream_function=answer))

    @agent.tool_plain
    def read() -> str:
        return "word " * 20_000

    app = LayerCode(VoiceAgent("reader", agent), settings=settings(tmp_path, history_tokens=500))
    async with calling(app) as caller:
        assert (await caller.say("read it")).spoken == "Done."
        assert (await caller.say("and now?")).spoken == "Done."
    _, own, later = asked
    assert len(str(tool_result(own[-1]))) == 100_000
    [result] = [part for m in later for part in m.parts if isinstance(part, ToolReturnPart)]
    assert len(str(result.content)) < 2000
