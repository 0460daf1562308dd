"""Tool results that PydanticAI accepts: bytes, iterators, and objects of any type as metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import Base64Bytes
from pydantic_ai import Agent, ToolReturn
from pydantic_ai.messages import ToolReturnPart
from pydantic_ai.models.function import DeltaToolCall

from layercode_app import VoiceAgent
from layercode_app.agent import usage
from layercode_app.journal.record import TurnRecord
from layercode_app.testing import open_call

from .test_outputs import Script

pytestmark = pytest.mark.anyio

PDF = b"%PDF\xff"
AS_TEXT = "JVBERv8="
DAYS = ["Monday", "Friday"]


@dataclass
class Label:
    number: int
    pdf: bytes


class Row:
    """An object that JSON cannot represent."""


def lookups(*tags: str) -> list[Any]:
    """Return tool calls of one response."""
    return [{place: DeltaToolCall("look", "{}", tool_call_id=tag)} for place, tag in enumerate(tags)]


async def turn_with(result: Callable[[], Any], *tags: str) -> tuple[TurnRecord, list[str]]:
    """Run a turn whose tool returns this result. Return the record, and the results that the model reads."""
    script = Script(lookups(*tags), ["Done."])
    agent = Agent(script.model)
    agent.tool_plain(name="look")(result)
    async with open_call(VoiceAgent("shop", agent, filler=False)) as line:
        await line.say("hello")
        record = (await line.records())[-1]
    parts = [part for message in script.requests[-1] for part in message.parts]
    return record, [part.model_response_str() for part in parts if isinstance(part, ToolReturnPart)]


@pytest.mark.parametrize(
    ("result", "read", "kept"),
    [
        (lambda: PDF, AS_TEXT, AS_TEXT),
        (lambda: bytearray(PDF), AS_TEXT, AS_TEXT),
        (lambda: {"pdf": PDF}, f'{{"pdf":"{AS_TEXT}"}}', {"pdf": AS_TEXT}),
        (lambda: {PDF: 1}, f'{{"{AS_TEXT}":1}}', {AS_TEXT: 1}),
        (lambda: [Label(1, PDF)], f'[{{"number":1,"pdf":"{AS_TEXT}"}}]', [{"number": 1, "pdf": AS_TEXT}]),
        (lambda: (day for day in DAYS), '["Monday","Friday"]', DAYS),
        (lambda: {"free": map(str, [9, 10])}, '{"free":["9","10"]}', {"free": ["9", "10"]}),
        (lambda: [iter(DAYS), 2], '[["Monday","Friday"],2]', [DAYS, 2]),
    ],
)
async def test_the_model_and_the_journal_read_the_whole_result(result: Callable[[], Any], read: str, kept: Any) -> None:
    record, results = await turn_with(result, "a")
    assert (record.spoken_text, record.status, record.error) == ("Done.", "complete", None)
    assert results == [read]
    assert [(call.status, call.result) for call in record.tools] == [("done", kept)]


async def test_identical_tool_calls_read_the_same_iterator() -> None:
    record, results = await turn_with(lambda: iter(DAYS), "a", "b")
    assert results == ['["Monday","Friday"]'] * 2
    assert [call.result for call in record.tools] == [DAYS, DAYS]


async def test_a_mocked_tool_may_return_an_iterator() -> None:
    script = Script(lookups("a"), ["Done."])
    agent = Agent(script.model)

    @agent.tool_plain
    async def look() -> str:
        return "nothing"

    async with open_call(VoiceAgent("shop", agent, filler=False)) as line:
        line.mock("look", lambda: iter(DAYS))
        await line.say("hello")
    assert "['Monday', 'Friday']" in script.told()


async def test_the_metadata_of_a_result_may_be_any_object() -> None:
    record, results = await turn_with(lambda: ToolReturn("booked", metadata=Row()), "a")
    assert (record.spoken_text, record.status, record.error) == ("Done.", "complete", None)
    assert results == ["booked"]
    assert record.usage["requests"] == 2
    assert b"Row object" in record.messages


async def test_a_tool_may_have_bytes_as_an_argument() -> None:
    script = Script([{0: DeltaToolCall("send", f'{{"pdf": "{AS_TEXT}"}}', tool_call_id="a")}], ["Sent."])
    agent = Agent(script.model)
    got: list[bytes] = []

    @agent.tool_plain
    async def send(pdf: Base64Bytes) -> None:
        got.append(pdf)

    async with open_call(VoiceAgent("shop", agent, filler=False)) as line:
        assert (await line.say("hello")).spoken == "Sent."
    assert got == [PDF]


async def test_a_turn_keeps_its_usage_if_its_messages_cannot_be_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(messages: Any) -> bytes:
        raise ValueError

    monkeypatch.setattr(usage, "dump_messages", fail)
    record, _ = await turn_with(lambda: "found", "a")
    assert (record.status, record.error, record.usage["requests"]) == ("failed", "ValueError", 2)
