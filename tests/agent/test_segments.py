"""A space separates the words before and after a tool, a retry, a hook or a filler, in speech and in the journal."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelResponse, ModelResponsePart, TextPart, ThinkingPart
from pydantic_ai.models import CompletedStreamedResponse, StreamedResponse
from pydantic_ai.models.function import DeltaToolCall, FunctionModel
from pydantic_ai.models.test import TestModel

from layercode_app import LayerCode, Speakable, Turn, VoiceAgent
from layercode_app.conversation.history import messages_of
from layercode_app.conversation.live import LiveTurn
from layercode_app.journal.record import Kind, Source, TurnRecord

from ..calling import calling, settings
from ..priced import records

pytestmark = pytest.mark.anyio


def looker(before: str, after: str, *, tools: int = 1, say: str = "", **options: Any) -> VoiceAgent[Any, Any]:
    """Return an agent that says `before`, calls its tool `tools` times, and says `after`.

    Each call of the tool says `say`, unless that is empty.
    """

    async def model(messages: Any, info: Any) -> AsyncIterator[Any]:
        if len(messages) > 1:
            yield after
            return
        if before:
            yield before
        for number in range(1, tools + 1):
            yield {number: DeltaToolCall("look", f'{{"place": {number}}}', tool_call_id=f"call-{number}")}

    agent = Agent(FunctionModel(stream_function=model), deps_type=Turn)

    @agent.tool(sequential=True)
    async def look(ctx: RunContext[Turn], place: int) -> int:
        if say:
            ctx.deps.say(say)
        return 42

    return VoiceAgent("looker", agent, **options)


async def heard(voice: VoiceAgent[Any, Any], folder: Path) -> TurnRecord:
    """Run one turn and return its record. Check that the recorded speech is exactly the text that the caller got."""
    app = LayerCode(voice, settings=settings(folder))
    async with calling(app) as caller:
        reply = await caller.say("hello")
        (record,) = await records(app)
    assert isinstance(record, TurnRecord)
    assert record.spoken_text == reply.spoken
    assert "".join(f.content for f in record.frames if f.type == "response.tts") == reply.spoken
    return record


@pytest.mark.parametrize(
    ("before", "after", "spoken"),
    [
        ("Let me check.", "It is 42.", "Let me check. It is 42."),
        ("Let me check. ", "It is 42.", "Let me check. It is 42."),
        ("Let me check.", "\nIt is 42.", "Let me check.\nIt is 42."),
        ("", "It is 42.", "It is 42."),
    ],
)
async def test_words_around_a_tool_are_kept_apart(before: str, after: str, spoken: str, tmp_path: Path) -> None:
    record = await heard(looker(before, after), tmp_path)
    assert record.spoken_text == spoken
    texts = [part.content for m in messages_of(record) for part in m.parts if isinstance(part, TextPart)]
    assert texts == [text for text in (before, after) if text], "the model is given its own words"


@pytest.mark.parametrize(
    ("before", "after"), [("Let me check!", "It is $5"), ("That is $5", "5 days left."), ("At 4", "p m")]
)
async def test_words_that_a_filter_held_are_kept_apart_from_those_after_a_tool(
    before: str, after: str, tmp_path: Path
) -> None:
    record = await heard(looker(before, after, speakable=Speakable(numbers=True)), tmp_path)
    one = Speakable(numbers=True)
    halves = [one.feed(text) + one.flush() for text in (before, after)]
    assert record.spoken_text == " ".join(halves)


async def test_words_of_tools_are_kept_apart_from_each_other_and_from_the_models(tmp_path: Path) -> None:
    record = await heard(looker("Let me check.", "It is 42.", tools=2, say="Looking."), tmp_path)
    assert record.spoken_text == "Let me check. Looking. Looking. It is 42."


async def test_words_of_while_thinking_are_kept_apart(tmp_path: Path) -> None:
    voice = looker("", "It is 42.")

    @voice.while_thinking
    async def acknowledge(turn: Turn) -> str:
        return "Let me see."

    assert (await heard(voice, tmp_path)).spoken_text == "Let me see. It is 42."


async def test_words_around_a_filler_are_kept_apart(tmp_path: Path) -> None:
    async def model(messages: Any, info: Any) -> AsyncIterator[Any]:
        yield "Let me check."
        turns[0].live.speak("One moment.", "filler")
        yield "It is 42."

    turns: list[Turn] = []
    agent = Agent(FunctionModel(stream_function=model), deps_type=Turn)

    @agent.instructions
    def remember(ctx: RunContext[Turn]) -> str:
        turns.append(ctx.deps)
        return ""

    record = await heard(VoiceAgent("looker", agent), tmp_path)
    assert record.spoken_text == "Let me check. One moment. It is 42."


async def test_words_around_a_retry_are_kept_apart(tmp_path: Path) -> None:
    replies = ["It is", "It is 42."]

    async def model(messages: Any, info: Any) -> AsyncIterator[Any]:
        yield replies.pop(0)
        if replies:
            yield {1: DeltaToolCall("no_such_tool", "{}", tool_call_id="call-1")}

    voice = VoiceAgent("looker", Agent(FunctionModel(stream_function=model)))
    assert (await heard(voice, tmp_path)).spoken_text == "It is It is 42."


class Interleaved(TestModel):
    """A model that answers each request with its `parts`. It imitates a model that reasons between its texts."""

    parts: Sequence[ModelResponsePart] = ()

    @asynccontextmanager
    async def request_stream(
        self, messages: Any, model_settings: Any, model_request_parameters: Any, run_context: Any = None
    ) -> AsyncGenerator[StreamedResponse]:
        response = ModelResponse(parts=list(self.parts))
        yield CompletedStreamedResponse(response, model_request_parameters=model_request_parameters, replay_events=True)


@pytest.mark.parametrize(
    ("parts", "spoken"),
    [
        ([TextPart("Let me see."), ThinkingPart("hm"), TextPart("It is 42.")], "Let me see. It is forty-two."),
        ([TextPart("It is 4"), TextPart("2.")], "It is forty-two."),
        ([TextPart("Wait!"), ThinkingPart("hm"), TextPart("It is 42.")], "Wait! It is forty-two."),
        ([TextPart("It costs $5"), ThinkingPart("hm"), TextPart("5 days.")], "It costs five dollars five days."),
        ([TextPart("<think>hm"), ThinkingPart("hm"), TextPart("hm</think>It is 42.")], "It is forty-two."),
    ],
)
async def test_texts_around_reasoning_are_kept_apart_and_parts_of_one_text_are_not(
    parts: Sequence[ModelResponsePart], spoken: str, tmp_path: Path
) -> None:
    model = Interleaved()
    model.parts = parts
    voice = VoiceAgent("looker", Agent(model), speakable=Speakable(numbers=True))
    assert (await heard(voice, tmp_path)).spoken_text == spoken


@pytest.mark.parametrize(
    ("pieces", "spoken"),
    [
        ([("model", 0, "Hel"), ("model", 0, "lo.")], "Hello."),
        ([("say", 0, "Hel"), ("say", 0, "lo.")], "Hello."),
        ([("model", 0, "a"), ("say", 0, "b"), ("model", 0, "c")], "a b c"),
        ([("filler", 0, "a"), ("apology", 0, "b")], "a b"),
        ([("model", 0, "a"), ("model", 1, "b")], "a b"),
        ([("model", 0, "a"), ("model", 0, "\n"), ("model", 1, "b")], "a\nb"),
        ([("greeting", 0, "a"), ("filler", 0, "b")], "a b "),
        ([("say", 0, ""), ("model", 0, "a")], "a"),
    ],
)
async def test_only_segments_are_kept_apart(pieces: list[tuple[Source, int, str]], spoken: str) -> None:
    live = LiveTurn(TurnRecord("c", "t", Kind.MESSAGE, "a"), 0.0)
    for source, live.run.response, text in pieces:
        live.speak(text, source)
    live.collect()
    assert live.record.spoken_text == "".join(frame.content for frame in live.frames) == spoken


async def test_a_segment_of_the_same_source_is_kept_apart_where_it_is_said_to_be_one() -> None:
    live = LiveTurn(TurnRecord("c", "t", Kind.MESSAGE, "a"), 0.0)
    live.speak("a", "say")
    live.spoken.begin_segment()
    live.speak("b", "say")
    live.speak("c", "say")
    assert [frame.content for frame in live.frames] == ["a", " b", "c"]
