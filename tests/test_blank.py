"""White space and zero-width characters are not speech, call no model, and are in no model request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import (
    ImageUrl,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextContent,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import LayerCode, Turn, VoiceAgent
from layercode_app.agent.message_prompt import GO_ON
from layercode_app.blank import is_blank
from layercode_app.conversation.history import messages_of
from layercode_app.conversation.portable_messages import sendable
from layercode_app.journal.record import Kind, Speech, Status, TurnRecord

from .calling import calling, settings
from .priced import records

pytestmark = pytest.mark.anyio

BLANK = ["", " ", "\n", "\t \r\n", "\u200b", "\ufeff\u2060", "\u00a0", "\u3164", "\x00"]


class Script:
    """A model that answers with the next of its replies: pieces of text, tool calls, or an error."""

    def __init__(self, *replies: list[Any]) -> None:
        self.replies = list(replies)
        self.requests: list[list[ModelMessage]] = []
        self.agent = Agent(FunctionModel(stream_function=self._answer))

        @self.agent.tool_plain
        async def look() -> str:
            return "found"

    async def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        self.requests.append(list(messages))
        for piece in self.replies.pop(0):
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                yield piece

    def blank_texts(self) -> list[str]:
        """The blank texts in all requests so far."""
        parts = [part for messages in self.requests for message in messages for part in message.parts]
        texts = [part.content for part in parts if isinstance(part, TextPart | UserPromptPart)]
        return [text for text in texts if isinstance(text, str) and is_blank(text)]

    def said(self) -> list[str]:
        """The caller's words in the last request."""
        parts = [part for message in self.requests[-1] for part in message.parts]
        return [str(part.content) for part in parts if isinstance(part, UserPromptPart)]


def call(name: str = "look") -> Any:
    return {1: DeltaToolCall(name, "{}", tool_call_id="call-1")}


@pytest.mark.parametrize("text", BLANK)
def test_what_is_blank(text: str) -> None:
    assert is_blank(text)
    assert not is_blank(text + "a")
    assert not is_blank(text + "\u0915\u094d\u200d\u0937")


# --- a blank transcript


@pytest.mark.parametrize("text", BLANK)
async def test_a_blank_transcript_says_nothing_new(text: str, tmp_path: Path) -> None:
    script = Script(["Good day."], ["Good bye."])
    app = LayerCode(VoiceAgent("clerk", script.agent), settings=settings(tmp_path))
    async with calling(app) as caller:
        await caller.say("hello", turn_id="t1")
        blank = await caller.say(text, turn_id="t2")
        again = await caller.say(text, turn_id="t2")
        await caller.say("bye", turn_id="t3")
        record = await app.store.get(caller.conversation_id, "t2")

    assert blank.types == again.types == ["response.end"]
    assert record is not None
    assert (record.status, record.user_text, record.speech, record.messages) == ("complete", text, [], b"")
    assert script.said() == ["hello", "bye"]
    assert script.blank_texts() == []


@pytest.mark.parametrize("history", [None, False])
async def test_a_blank_transcript_that_cut_a_reply_short_lets_the_model_go_on(
    history: bool | None, tmp_path: Path
) -> None:
    script = Script(["One two three."], ["As I said: three."], ["Bye."])
    app = LayerCode(VoiceAgent("clerk", script.agent, history=history), settings=settings(tmp_path))
    async with calling(app) as caller:
        await caller.say("count", turn_id="t1")
        cut = {"previous_turn_interrupted": True, "text_heard": "One", "assistant_turn_id": "t1"}
        reply = await caller.say(" ", turn_id="t2", interruption_context=cut)
        silent = await caller.say(" ", turn_id="t3")
        record = await app.store.get(caller.conversation_id, "t2")

    assert reply.spoken == "As I said: three."
    assert script.said()[-1] == GO_ON
    assert silent.spoken == ""
    assert record is not None
    assert (record.status, record.user_text) == ("complete", " ")
    assert script.blank_texts() == []


async def test_a_hook_is_told_of_a_blank_transcript_as_it_came(tmp_path: Path) -> None:
    voice = VoiceAgent("hook")

    @voice.on_message
    async def answer(turn: Turn) -> str:
        return f"You said {turn.text!r}."

    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        assert (await caller.say("\n")).spoken == "You said '\\n'."


async def test_no_hook_asks_a_small_model_about_nothing(tmp_path: Path) -> None:
    script = Script(["One two three."], ["Three."])
    voice = VoiceAgent("clerk", script.agent)
    asked: list[str] = []

    @voice.while_thinking
    async def acknowledge(turn: Turn) -> None:
        asked.append(turn.text)

    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        await caller.say("count", turn_id="t1")
        cut = {"previous_turn_interrupted": True, "text_heard": "One"}
        await caller.say(" ", interruption_context=cut)
    assert asked == ["count"]


# --- blank text of a model


async def test_blank_text_of_a_model_is_neither_spoken_nor_kept(tmp_path: Path) -> None:
    script = Script(["\n", "\n", call()], ["\u200b", "It is ", "42."], ["Bye."])
    app = LayerCode(VoiceAgent("clerk", script.agent), settings=settings(tmp_path))
    async with calling(app) as caller:
        reply = await caller.say("hello", turn_id="t1")
        await caller.say("bye", turn_id="t2")
        record = await app.store.get(caller.conversation_id, "t1")
    assert [frame.content for frame in reply.frames if frame.type == "response.tts"] == ["It is ", "42."]
    assert record is not None
    assert record.spoken_text == "It is 42."
    assert script.blank_texts() == []


@pytest.mark.parametrize("blank", [" ", "\n\n", "\u200b"])
async def test_a_model_that_answers_with_blank_text_is_asked_again(blank: str, tmp_path: Path) -> None:
    script = Script([blank], ["It is 42."])
    async with calling(LayerCode(VoiceAgent("clerk", script.agent), settings=settings(tmp_path))) as caller:
        assert (await caller.say("hello")).spoken == "It is 42."
    assert script.blank_texts() == []


async def test_a_model_that_only_ever_answers_with_blank_text_is_no_complete_turn(tmp_path: Path) -> None:
    script = Script(*[[" "]] * 5)
    app = LayerCode(VoiceAgent("clerk", script.agent), settings=settings(tmp_path, apology="Sorry!"))
    async with calling(app) as caller:
        assert (await caller.say("hello")).spoken == "Sorry!"
        (record,) = await records(app)
    assert (record.status, record.impact) == ("failed", "apology")


async def test_after_blank_text_a_filler_is_spoken_and_a_broken_answer_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layercode_app.agent.retry.RETRY_SECONDS", (0.01,))
    script = Script(["\n\n", 0.2, ModelHTTPError(503, "gpt-test")], ["It is 42."])
    voice = VoiceAgent("clerk", script.agent, filler="One moment.", filler_after=0.05)
    app = LayerCode(voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        assert (await caller.say("hello")).spoken == "One moment. It is 42."
        (record,) = await records(app)
    assert (record.status, record.retries) == ("complete", 1)


async def test_the_time_to_the_first_words_does_not_end_with_white_space(tmp_path: Path) -> None:
    voice = VoiceAgent("hook")

    @voice.on_message
    async def answer(turn: Turn) -> AsyncIterator[str]:
        yield "\n"
        await asyncio.sleep(0.05)
        if turn.text == "speak":
            yield "Hello."

    app = LayerCode(voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        await caller.say("speak", turn_id="t1")
        await caller.say("be silent", turn_id="t2")
        spoke, silent = sorted(await records(app), key=lambda record: record.turn_id)
    assert spoke.timings["ttfs"] >= 50
    assert "ttfs" not in silent.timings


# --- blank text in a journal


def stored(*messages: ModelMessage, **fields: Any) -> TurnRecord:
    body = ModelMessagesTypeAdapter.dump_json(list(messages)) if messages else b""
    return TurnRecord("c", "t", Kind.MESSAGE, "a", status=Status.COMPLETE, messages=body, **fields)


def given(record: TurnRecord) -> list[Any]:
    return [getattr(part, "content", part.part_kind) for message in messages_of(record) for part in message.parts]


@pytest.mark.parametrize("blank", BLANK)
def test_blank_text_that_a_journal_has_is_given_to_no_model(blank: str) -> None:
    calls = ModelResponse([TextPart(blank), ToolCallPart("look", "{}", "call-1")])
    prompt = ModelRequest([UserPromptPart("hello")])
    record = stored(prompt, calls, speech=[Speech("model", 0, blank)] if blank else [])
    assert given(record) == ["hello", "tool-call", "The tool call was interrupted before a result was known."]
    assert given(stored(user_text=blank)) == []
    # The reply stays. A text replaces the caller's blank message, because some providers require a user message before
    # each reply.
    answered = stored(
        ModelRequest([UserPromptPart(blank)]), ModelResponse([TextPart("Yes?")]), speech=[Speech("model", 0, "Yes?")]
    )
    assert given(answered) == ["[The caller said nothing.]", "Yes?"]


@pytest.mark.parametrize("blank", ["", " ", "\u200b"])
def test_what_was_left_of_an_interrupted_reply_may_be_blank(blank: str) -> None:
    record = stored(
        ModelRequest([UserPromptPart("hello")]), ModelResponse([TextPart(blank + "Good day.")]),
        speech=[Speech("model", 0, blank + "Good day.")], heard_text=blank,
    )  # fmt: skip
    record.status = Status.INTERRUPTED
    assert given(record) == ["hello", "[The caller interrupted here, before hearing any answer.]"]


@pytest.mark.parametrize("blank", BLANK)
def test_a_prompt_of_several_items_has_no_blank_one(blank: str) -> None:
    image = ImageUrl("https://example.com/bun.png")
    prompt = ModelRequest([UserPromptPart([blank, image, TextContent(blank), "a bun"]), UserPromptPart([blank])])
    result = ModelRequest([ToolReturnPart("look", [blank, "x"], "call-1"), ToolReturnPart("look", blank, "call-2")])
    first, second = [[getattr(part, "content", None) for part in sent.parts] for sent in sendable([prompt, result])]
    assert first == [[image, "a bun"], "[The caller said nothing.]"]
    assert second == [[blank, "x"], "(no output)"]
