"""Reasoning between tags in a model's text is never spoken. The filter does not delay other text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart, ThinkingPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel

from layercode_app import LayerCode, Speakable, VoiceAgent
from layercode_app.agent.think_tags import ThinkTags, without_thoughts

from ..calling import calling, settings
from ..priced import records

pytestmark = pytest.mark.anyio

NAMESPACE = "ant" + "ml"
TEXT = st.text(alphabet="<>/&lgt;|thinkTHINK[]◁▷ a=\"'.\n")


def filtered(*pieces: str) -> str:
    tags = ThinkTags()
    return "".join([tags.feed(piece) for piece in pieces]) + tags.flush()


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("<think>hm</think>Yes.", "Yes."),
        ("<thinking>hm</thinking>Yes.", "Yes."),
        ("<Reasoning>hm</REASONING>Yes.", "Yes."),
        ("<thought>hm</thought>Yes. <reflection>oh</reflection>No.", "Yes. No."),
        ("<scratchpad>1\n2</scratchpad>\n\nYes.", "\n\nYes."),
        ('<think duration="3s">hm</think >Yes.', "Yes."),
        ("<think>a < b, <b>c</b> & <think> again</think>Yes.", "Yes."),
        (f"<{NAMESPACE}:thinking>hm</{NAMESPACE}:thinking>Yes.", "Yes."),
        ("< think >hm</ think >Yes.", "Yes."),
        ("<REASONING\n>hm< / Reasoning>Yes.", "Yes."),
        ("&lt;thinking&gt;hm&lt;/thinking&gt;Yes.", "Yes."),
        ("<|think|>hm<|/think|>Yes.", "Yes."),
        ("[THINK]hm[/THINK]Yes.", "Yes."),
        ("◁think▷hm◁/think▷Yes.", "Yes."),
        ("Wait. <think>hm", "Wait. "),
        ("hm</think>Yes.", "hm Yes."),
        ("Wait.<think>hm</think>Yes.", "Wait. Yes."),
        ("Wait.<think>hm</think>\nYes.", "Wait.\nYes."),
        ("<think/>Yes.", "Yes."),
        ("<think></think>Yes.", "Yes."),
    ],
)
def test_reasoning_is_taken_out_however_it_is_cut(written: str, spoken: str) -> None:
    assert filtered(written) == spoken
    assert filtered(*written) == spoken
    for cut in range(len(written)):
        assert filtered(written[:cut], written[cut:]) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "3 < 5",
        "a <b> c",
        "<thinker>",
        "I <3 you",
        "<",
        "x[0]",
        "R&D",
        "&lt;b&gt;",
        "a < think",
        "< 5 & 6",
        "[link](url)",
        "</p>",
        "<think",
        "think>",
        "<thi",
    ],
)
def test_other_text_is_left_alone(text: str) -> None:
    assert filtered(text) == filtered(*text) == text


@given(TEXT, st.lists(st.integers(0, 60), max_size=6))
@example("<think>a</think>b", [1, 7, 9])
def test_any_pieces_give_the_same_words(text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    assert filtered(*[text[start:end] for start, end in pairwise(edges)]) == filtered(text)


@pytest.mark.parametrize(
    ("pieces", "at_once"),
    [
        (["Hello ", "there."], ["Hello ", "there."]),
        (["3 < 5 ", "is true"], ["3 < 5 ", "is true"]),
        (["a <", "b"], ["a ", "<b"]),
        (["a <th", "e b"], ["a ", "<the b"]),
        (["Yes. <think>"], ["Yes. "]),
        (["<think>hm</think>Yes"], ["Yes"]),
    ],
)
def test_no_word_is_delayed(pieces: list[str], at_once: list[str]) -> None:
    tags = ThinkTags()
    assert [tags.feed(piece) for piece in pieces] == at_once


def test_a_response_is_kept_with_its_reasoning_apart() -> None:
    call = ToolCallPart("look", "{}", "call-1")
    response = ModelResponse([TextPart("<think>a", id="m1"), TextPart("b</think>Yes. "), call, TextPart(" \n")])
    assert without_thoughts(response).parts == [
        ThinkingPart("a"), TextPart("", id="m1"), ThinkingPart("b"), TextPart("Yes. "), call,
    ]  # fmt: skip
    plain = ModelResponse([TextPart("Yes."), call])
    assert without_thoughts(plain) is plain


@pytest.mark.parametrize("name", ["think", "THINK", "Thinking", "reasoning", "ReAsOnInG"])
@pytest.mark.parametrize("options", [{}, {"numbers": True}, {"replace": {"Yes": "Yes"}}])
def test_a_speakable_filter_alone_never_returns_reasoning(name: str, options: dict[str, Any]) -> None:
    written = f"Wait.<{name}>It costs $5.</{name}>**Yes**."
    for cut in range(len(written)):
        one = Speakable(**options)
        assert one.feed(written[:cut]) + one.feed(written[cut:]) + one.flush() == "Wait. Yes."


# --- in a turn


def thinker(*replies: list[str], **options: Any) -> VoiceAgent[Any, Any]:
    left = list(replies)

    async def model(messages: Any, info: Any) -> AsyncIterator[str]:
        for piece in left.pop(0):
            yield piece

    return VoiceAgent("thinker", Agent(FunctionModel(stream_function=model)), **options)


@pytest.mark.parametrize("options", [{}, {"speakable": True}, {"speak": str}])
async def test_no_agent_speaks_reasoning(options: dict[str, Any], tmp_path: Path) -> None:
    voice = thinker(["<th", "ink>The caller ", "wants 42.</", "think>\n\nIt is ", "42."], **options)
    app = LayerCode(voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        reply = await caller.say("hello")
        (record,) = await records(app)
    assert reply.spoken == record.spoken_text == "It is 42."
    assert b"think>" not in record.messages


async def test_a_model_that_only_reasons_is_asked_again(tmp_path: Path) -> None:
    voice = thinker(["<think>The caller wants 42."], ["It is 42."])
    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        assert (await caller.say("hello")).spoken == "It is 42."
