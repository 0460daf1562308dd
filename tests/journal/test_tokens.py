"""The history budget counts only what later requests send to the model.

Therefore more turns fit into it, and a name from an early turn is still known late in the conversation.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Message, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.conversation.admission import TurnHandler
from layercode_app.journal.record import Speech
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import LEAST_TOKENS, Store, counts_json, tokens_of
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.journal.tokens import MEDIA_CHARACTERS, characters_of, characters_of_turn, text_of

from ..conversation.world import Ear, callers_words
from ..journals import journal_url
from .stores.records import add, ended, turn

pytestmark = pytest.mark.anyio

PROMPT = "Be kind. " * 667
RESULT = {"in stock": ["rolls", "bread"]}


async def bakery(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
    if isinstance(messages[-1].parts[-1], ToolReturnPart):
        yield "We have rolls and bread today."
    else:
        yield {0: DeltaToolCall("look_up", '{"shelf": 1}', tool_call_id=f"call-{len(messages)}")}


@pytest.mark.parametrize(
    ("kind", "prompt"), [("memory", "Be kind."), ("sqlite", PROMPT), ("redis", PROMPT), ("postgres", PROMPT)]
)
@pytest.mark.slow
async def test_a_name_said_in_turn_1_is_known_in_turn_30(
    kind: str, prompt: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    asked: list[list[ModelMessage]] = []

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        asked.append(list(messages))
        async for piece in bakery(messages, info):
            yield piece

    agent = Agent(FunctionModel(stream_function=answer), instructions=prompt)
    agent.tool_plain(look_up)
    store = create_store(_url(kind, tmp_path, request))
    await store.open()
    handler = TurnHandler(store)
    for number in range(30):
        text = "My name is Rosalind." if number == 0 else f"What else is there, number {number}?"
        event = Message.model_validate(
            {"session_id": "s", "conversation_id": "c", "turn_id": f"turn-{number}", "text": text}
        )
        await handler.admit(
            AgentRunner(VoiceAgent("bakery", agent)), event, Ear().listener, received=time.perf_counter()
        )
    await store.close()
    assert callers_words(asked[-1])[0] == "My name is Rosalind."
    assert len(callers_words(asked[-1])) == 30


async def look_up(shelf: int) -> Any:
    return RESULT


def _url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    return journal_url(kind, request, tmp_path)


def dumped(*messages: ModelMessage) -> bytes:
    return ModelMessagesTypeAdapter.dump_json(list(messages))


def test_text_calls_and_results_are_counted_and_nothing_else() -> None:
    messages: list[ModelMessage] = [
        ModelRequest(parts=[UserPromptPart("u" * 10)], instructions="i" * 1000),
        ModelResponse(
            parts=[
                ThinkingPart("t" * 1000, signature="s" * 1000),
                TextPart("a" * 20, id="msg_1", provider_name="openai"),
                ToolCallPart("look_up", '{"shelf": 12}', tool_call_id="call-" + "c" * 1000),
            ]
        ),
        ModelRequest(parts=[ToolReturnPart("look_up", ["found"], tool_call_id="call")]),
    ]
    assert characters_of(messages) == 10 + 20 + len('look_up{"shelf": 12}') + len('["found"]')
    record = ended(turn(messages=dumped(*messages)), "a" * 20)
    assert characters_of_turn(record) == characters_of(messages)


def test_a_picture_counts_the_same_however_long_its_data() -> None:
    request = ModelRequest(parts=[UserPromptPart(["look", ImageUrl("https://example.com/" + "x" * 9000)])])
    assert characters_of([request]) == 4 + MEDIA_CHARACTERS
    assert characters_of_turn(turn(messages=dumped(request))) == 4 + MEDIA_CHARACTERS


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (BinaryContent(b"\x89PNG\xff" * 9000, media_type="image/png"), "[image]"),
        (["the plan", BinaryContent(b"\xff" * 9000, media_type="application/pdf")], '["the plan", "[file]"]'),
        ([ImageUrl("https://example.com/" + "x" * 9000)], '["[image]"]'),
    ],
)
def test_a_file_in_a_result_counts_the_same_however_long_its_data(result: Any, words: str) -> None:
    request = ModelRequest(parts=[ToolReturnPart("plan", result, tool_call_id="call")])
    assert text_of(result) == words
    assert characters_of([request]) == len(words) + MEDIA_CHARACTERS
    assert characters_of_turn(turn(messages=dumped(request))) == len(words) + MEDIA_CHARACTERS


def test_of_an_interrupted_turn_only_what_was_heard_is_counted() -> None:
    messages = dumped(ModelRequest(parts=[UserPromptPart("hello")]), ModelResponse(parts=[TextPart("word " * 900)]))
    record = ended(turn(messages=messages), "word " * 900)
    assert characters_of_turn(record) == 5 + 4500
    record.heard_text = "word word"
    assert characters_of_turn(record) == 5 + 9
    record.notes = ["[note]"]
    assert characters_of_turn(record) == 5 + 9 + 6


def test_a_filler_and_said_words_are_counted_beside_the_models() -> None:
    record = ended(turn(messages=dumped(ModelResponse(parts=[TextPart("four")]))))
    record.speech = [Speech("filler", 0, "One moment. "), Speech("model", 0, "four")]
    assert characters_of_turn(record) == len("One moment. four")


# --- journals of earlier releases


def _long_json(number: int) -> bytes:
    return dumped(
        ModelRequest(parts=[UserPromptPart(f"turn {number}")], instructions=PROMPT),
        ModelResponse(parts=[TextPart("Fine.")]),
    )


async def _as_an_earlier_release_wrote_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add ten turns whose tokens are counted by the size of their JSON, as an earlier release did.

    This gives more than 1,500 tokens for each turn.
    """
    with monkeypatch.context() as patch:
        for module in ("sqlite_turns", "redis"):
            patch.setattr(f"layercode_app.journal.stores.{module}.tokens_of", lambda record: len(record.messages) // 4)
        for number in range(10):
            await add(store, turn("c", f"t{number}", messages=_long_json(number)))


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_turns_of_an_earlier_journal_are_counted_again(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = create_store(_url(kind, tmp_path, request))
    await store.open()
    await _as_an_earlier_release_wrote_it(store, monkeypatch)
    await store.close()
    # Open the journal again as another worker, which has none of these turns in memory.
    store = create_store(_url_again(kind, tmp_path, request))
    await store.open()
    everything = await store.history("c", tokens=8000)
    some = await store.history("c", tokens=3 * LEAST_TOKENS)
    begun = await store.begin(turn("c", "now"), history_tokens=8000)
    await store.close()
    assert [past.turn_id for past in everything] == [f"t{number}" for number in range(10)]
    assert [past.turn_id for past in some] == ["t7", "t8", "t9"]
    assert [past.turn_id for past in begun.history] == [f"t{number}" for number in range(10)]


def _url_again(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    if kind == "redis":
        return str(request.getfixturevalue("redis_server").url)
    return f"sqlite:///{tmp_path}/journal.sqlite3"


def test_a_count_of_this_release_is_not_taken_for_an_earlier_one() -> None:
    record = ended(turn(messages=_long_json(1)), "Fine.")
    assert not counts_json(tokens_of(record), record.messages)
    assert counts_json(len(record.messages) // 4, record.messages)
    assert not counts_json(LEAST_TOKENS, b"")


def test_messages_that_cannot_be_read_are_counted_by_their_size() -> None:
    assert tokens_of(turn(messages=b"m" * 40_000)) == 10_000


async def test_the_memory_store_forgets_the_counts_of_the_turns_it_drops() -> None:
    store = MemoryStore(max_turns=3)
    for number in range(10):
        await add(store, turn("c", f"t{number}"))
    assert len(store._tokens) == len(store._turns) == 3
