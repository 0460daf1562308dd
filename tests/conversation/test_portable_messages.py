"""Every provider accepts the messages of earlier turns, and every tool call in them has its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic_ai.messages import (
    BinaryContent,
    CompactionPart,
    FilePart,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from layercode_app.blank import is_blank
from layercode_app.conversation.history import history_of
from layercode_app.conversation.portable_messages import portable, sendable
from layercode_app.conversation.trimming import fit
from layercode_app.journal.record import Speech, Status, ToolCall, TurnRecord

from ..journal.stores.records import turn

OPENAI: dict[str, Any] = {"provider_name": "openai", "provider_details": {"raw": 1}}
REASONING = ThinkingPart("Hm.", id="rs_1", signature="gAAAA", **OPENAI)
SIGNED = ThinkingPart("Hm.", signature="Eq", provider_name="anthropic")
REDACTED = ThinkingPart("", id="redacted_thinking", signature="Eq2", provider_name="anthropic")
CALL = ToolCallPart("look_up", {"page": 1}, tool_call_id="call_1", id="fc_1", **OPENAI)
RESULT = ToolReturnPart("look_up", "found", tool_call_id="call_1")
SAID = TextPart("It is there.", id="msg_1", **OPENAI)
ASKED = ModelRequest(parts=[UserPromptPart("where?")])


def response(*parts: Any, **more: Any) -> ModelResponse:
    given: dict[str, Any] = {"provider_name": "openai", "provider_url": "https://api.openai.com/v1/", **more}
    return ModelResponse(parts=list(parts), provider_response_id="resp_1", history_digest="d", **given)


def record(*messages: ModelMessage, speech: Sequence[Speech] = (), **more: Any) -> TurnRecord:
    given: dict[str, Any] = {"status": Status.COMPLETE, "user_text": "where?", **more}
    made = turn("c", messages=ModelMessagesTypeAdapter.dump_json(list(messages)), **given)
    made.speech = list(speech)
    return made


def kinds(messages: Sequence[ModelMessage]) -> list[list[str]]:
    return [[part.part_kind for part in message.parts] for message in messages]


def test_an_untouched_turn_has_its_words_calls_and_results_and_no_ids() -> None:
    past = record(
        ASKED, response(REASONING, SAID, CALL), ModelRequest(parts=[RESULT]), response(REASONING, SAID),
        speech=[Speech("model", 0, "It is there."), Speech("model", 1, "It is there.")],
    )  # fmt: skip
    messages = history_of([past])
    assert kinds(messages) == [["user-prompt"], ["text", "tool-call"], ["tool-return"], ["text"]]
    for message in messages:
        for name in ("provider_name", "provider_details", "provider_response_id", "history_digest"):
            assert getattr(message, name, None) is None
        for part in message.parts:
            for name in ("id", "provider_name", "provider_details", "signature"):
                assert getattr(part, name, None) is None
    assert [part.tool_call_id for part in messages[1].parts if isinstance(part, ToolCallPart)] == ["call_1"]


@pytest.mark.parametrize(
    "part",
    [
        REASONING,
        SIGNED,
        NativeToolCallPart("web_search", {"query": "x"}, tool_call_id="ws_1", id="ws_1", **OPENAI),
        NativeToolReturnPart("web_search", {"status": "completed"}, tool_call_id="ws_1", **OPENAI),
        FilePart(BinaryContent(b"x", media_type="image/png"), id="ig_1", **OPENAI),
        CompactionPart(None, id="cmp_1", provider_name="openai", provider_details={"encrypted_content": "x"}),
    ],
    ids=lambda part: f"{part.part_kind} of {part.provider_name}",
)
def test_what_only_its_provider_understands_is_left_out(part: Any) -> None:
    assert portable(response(part, SAID)).parts == [TextPart("It is there.")]


def test_signed_reasoning_stays_where_the_turn_ended_between_two_calls() -> None:
    cut = record(ASKED, response(SIGNED, REDACTED, CALL, provider_name="anthropic"), status=Status.INTERRUPTED)
    cut.tools = [ToolCall("call_1", "look_up", {}, 1.0, status="cancelled")]
    messages = history_of([cut])
    assert kinds(messages)[:3] == [["user-prompt"], ["thinking", "thinking", "tool-call"], ["tool-return"]]
    # Later turns leave these messages unchanged, because the provider's signature depends on them.
    assert kinds(history_of([cut, record(ASKED, response(SIGNED, SAID))]))[: len(messages)] == kinds(messages)
    assert kinds(history_of([record(ASKED, response(REASONING, CALL))]))[1] == ["tool-call"]


def test_a_response_that_was_cut_has_no_calls_and_its_results_go_with_them() -> None:
    cut = record(
        ASKED, response(SIGNED, SAID, CALL, state="interrupted"), ModelRequest(parts=[RESULT]),
        speech=[Speech("model", 0, "It is")], status=Status.INTERRUPTED,
    )  # fmt: skip
    assert kinds(history_of([cut])) == [["user-prompt"], ["text"], ["user-prompt"]]


def test_a_server_that_numbers_its_calls_anew_in_each_response() -> None:
    """Two tool calls of a turn have the same id, and only the first has a result. The second counts as unanswered."""
    cut = record(
        ASKED, response(CALL), ModelRequest(parts=[RESULT]), response(CALL), status=Status.INTERRUPTED,
    )  # fmt: skip
    messages = history_of([cut, record(ASKED, response(CALL), ModelRequest(parts=[RESULT]))])
    pairs = [message.parts[0] for message in messages if message.parts[0].part_kind in ("tool-call", "tool-return")]
    assert [(part.part_kind, part.tool_call_id) for part in pairs] == [
        (kind, name) for name in ("call_1", "call_1-2", "call_1-3") for kind in ("tool-call", "tool-return")
    ]


@pytest.mark.parametrize(
    ("given", "sent"), [("functions.look_up:0", "functions_look_up_0"), ("call_1|fc_1", "call_1_fc_1")]
)
def test_ids_that_another_provider_refuses(given: str, sent: str) -> None:
    call, result = replace(CALL, tool_call_id=given), replace(RESULT, tool_call_id=given)
    messages = history_of([record(ASKED, response(call), ModelRequest(parts=[result]), response(SAID))])
    assert [part.tool_call_id for message in messages[1:3] for part in message.parts] == [sent, sent]  # type: ignore[union-attr]


def test_a_text_that_is_shortened_has_no_id_of_the_whole_one() -> None:
    long = record(ASKED, response(REASONING, TextPart("word " * 9000, id="msg_1", **OPENAI)))
    long.speech = [Speech("model", 0, "word " * 9000)]
    [text] = fit(history_of([long]), 1000)[1].parts
    assert isinstance(text, TextPart)
    assert (text.id, len(text.content) < 9000) == (None, True)


BLANKS = ["", " ", "\n\n", "\u200b", "\ufeff \u2060"]


@pytest.mark.parametrize("blank", BLANKS)
def test_blank_texts_are_left_out_and_blank_requests_have_a_word(blank: str) -> None:
    assert is_blank(blank)
    past = record(
        ModelRequest(parts=[UserPromptPart(blank)]), response(TextPart(blank), CALL),
        ModelRequest(parts=[ToolReturnPart("look_up", blank, tool_call_id="call_1")]), response(TextPart(blank)),
        speech=[Speech("model", 0, blank), Speech("model", 1, blank)], user_text=blank,
    )  # fmt: skip
    for messages in (history_of([past]), sendable(ModelMessagesTypeAdapter.validate_json(past.messages))):
        assert kinds(messages) == [["user-prompt"], ["tool-call"], ["tool-return"]]
        contents = [part.content for message in messages for part in message.parts if hasattr(part, "content")]
        assert not any(is_blank(str(content)) for content in contents)


def test_within_a_run_only_what_its_provider_refuses_is_left_out() -> None:
    asks_again = ModelRequest(parts=[UserPromptPart("well?")])
    run: list[ModelMessage] = [
        ASKED,
        response(REASONING),
        asks_again,
        response(REASONING, TextPart(" ", id="msg_1", **OPENAI), CALL),
        ModelRequest(parts=[RESULT]),
    ]
    # OpenAI refuses reasoning that nothing follows, and reasoning whose message was left out.
    assert sendable(run) == [ASKED, asks_again, *run[3:]]


@pytest.mark.parametrize("text", ["word", "é", ".", "\u200bword", "\ud83d"])
def test_what_has_a_character_is_not_blank(text: str) -> None:
    assert not is_blank(text)
