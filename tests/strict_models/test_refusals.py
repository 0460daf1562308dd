"""The strict model servers refuse what they claim to refuse, and accept every plain run."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError

from ..serving import serve
from . import (
    ALL,
    Asked,
    Call,
    Fail,
    Say,
    Script,
    StrictAnthropic,
    StrictChat,
    StrictGemini,
    StrictModel,
    StrictResponses,
    Think,
    words,
)

pytestmark = pytest.mark.anyio

USER = {"role": "user", "content": "hello"}
TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "bump", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}
ANSWERED = {"role": "tool", "tool_call_id": "call_1", "content": "done"}

CHAT: dict[str, tuple[list[Any], str]] = {
    "no messages": ([], "empty array"),
    "a call without a result": ([USER, CALLED, USER], "must be followed by tool messages"),
    "a result without a call": ([USER, ANSWERED], "must be a response to a preceeding message"),
    "a result for another call": (
        [USER, CALLED, ANSWERED, ANSWERED | {"tool_call_id": "call_2"}],
        "preceeding message",
    ),
    "an id that is too long": (
        [USER, CALLED | {"tool_calls": [TOOL_CALL | {"id": "x" * 41}]}, ANSWERED | {"tool_call_id": "x" * 41}],
        "maximum length 40",
    ),
    "an answer of nothing": ([USER, {"role": "assistant", "content": None}], "expected a string, got null"),
    "half a character": ([USER | {"content": "\ud83d"}], "no low surrogate in string"),
}

FUNCTION_CALL = {"type": "function_call", "call_id": "call_1", "name": "bump", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
MADE_CALL = FUNCTION_CALL | {"call_id": "call_4", "id": "fc_00000004"}
MADE_OUTPUT = OUTPUT | {"call_id": "call_4"}
REASONING = {"type": "reasoning", "id": "rs_00000003", "summary": [], "encrypted_content": "gAAAA00000002"}

RESPONSES: dict[str, tuple[list[Any], str]] = {
    "no input": ([], "Missing required parameter: 'input'"),
    "a call without its reasoning": ([USER, MADE_CALL, MADE_OUTPUT], "without its required 'reasoning' item"),
    "reasoning without its call": ([USER, REASONING], "without its required following item"),
    "reasoning before another item": ([USER, REASONING, USER], "without its required following item"),
    "reasoning that was changed": ([REASONING | {"encrypted_content": "x"}, MADE_CALL, MADE_OUTPUT], "not be verified"),
    "reasoning nobody made": ([REASONING | {"id": "rs_9"}, USER], "Item with id 'rs_9' not found"),
    "a call without a result": ([USER, FUNCTION_CALL], "No tool output found for function call call_1"),
    "a result without a call": ([USER, OUTPUT], "No tool call found for function call output"),
    "an id that is too long": (
        [USER, FUNCTION_CALL | {"call_id": "x" * 65}, OUTPUT | {"call_id": "x" * 65}],
        "maximum length 64",
    ),
    "an item twice": ([REASONING, MADE_CALL, MADE_CALL, MADE_OUTPUT], "Duplicate item found with id fc_00000004"),
    "another provider's id": (
        [USER, FUNCTION_CALL | {"id": "toolu_1"}, OUTPUT],
        "Expected an ID that begins with 'fc'",
    ),
    "half a character": ([USER | {"content": "\ud83d"}], "no low surrogate in string"),
}

TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "bump", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}
MADE_USE = TOOL_USE | {"id": "toolu_00000003"}
MADE_RESULT = RESULT | {"tool_use_id": "toolu_00000003"}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "Eq00000002"}
TEXT = {"type": "text", "text": "Well."}


def said(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def heard(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


ANTHROPIC: dict[str, tuple[list[Any], str]] = {
    "no messages": ([], "at least one message is required"),
    "an assistant first": ([said(TEXT), USER], 'must use the "user" role'),
    "a blank text": ([heard({"type": "text", "text": " \n"})], "must contain non-whitespace text"),
    "a text without width": ([heard({"type": "text", "text": "\u200b"})], "must contain non-whitespace text"),
    "a blank text in a result": (
        [USER, said(THOUGHT, MADE_USE), heard(MADE_RESULT | {"content": [{"type": "text", "text": ""}]})],
        "must contain non-whitespace text",
    ),
    "an empty message": ([USER, said(), USER], "must have non-empty content"),
    "a call without a result": ([USER, said(TOOL_USE), USER], "without `tool_result` blocks immediately after"),
    "a result behind a text": ([USER, said(TOOL_USE), heard(TEXT, RESULT)], "immediately after"),
    "a result without a call": ([USER, said(TEXT), heard(RESULT)], "unexpected `tool_use_id`"),
    "a call twice": ([USER, said(TOOL_USE), heard(RESULT), said(TOOL_USE), heard(RESULT)], "ids must be unique"),
    "thinking that was changed": (
        [USER, said(THOUGHT | {"thinking": "Hm"}, MADE_USE), heard(MADE_RESULT)],
        "Invalid `signature` in `thinking` block",
    ),
    "thinking that was left out": ([USER, said(MADE_USE), heard(MADE_RESULT)], "Expected `thinking`"),
    "thinking behind a text": ([USER, said(TEXT, THOUGHT, MADE_USE), heard(MADE_RESULT)], "Expected `thinking`"),
    "thinking twice": ([USER, said(THOUGHT, THOUGHT, MADE_USE), heard(MADE_RESULT)], "cannot be modified"),
    "half a character": ([heard({"type": "text", "text": "\ud83d"})], "no low surrogate in string"),
}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def model(*parts: Any) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


HELLO = {"text": "hello"}
SIGNATURE = {"thoughtSignature": "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="}
GEMINI_CALL = {"functionCall": {"name": "bump", "args": {}}} | SIGNATURE
GEMINI_RESULT = {"functionResponse": {"name": "bump", "response": {"result": "done"}}}

GEMINI: dict[str, tuple[list[Any], str]] = {
    "no contents": ([], "contents is not specified"),
    "no parts": ([user()], "contents.parts must not be empty"),
    "a part of nothing": ([user(HELLO), model({}), user(HELLO)], "must have one initialized field"),
    "a model first": ([model(HELLO), user(HELLO)], "role 'user'"),
    "a call without a result": ([user(HELLO), model(GEMINI_CALL), user(HELLO)], "number of function response parts"),
    "two calls with one result": (
        [user(HELLO), model(GEMINI_CALL, GEMINI_CALL), user(GEMINI_RESULT)],
        "number of function response parts",
    ),
    "a result without a call": ([user(HELLO), user(GEMINI_RESULT)], "immediately after a function call turn"),
    "a call behind an answer": (
        [user(HELLO), model(HELLO), model(GEMINI_CALL), user(GEMINI_RESULT)],
        "immediately after a user turn",
    ),
    "a call without a signature": (
        [user(HELLO), model({"functionCall": {"name": "bump", "args": {}}}), user(GEMINI_RESULT)],
        "missing a thought_signature",
    ),
    "a signature of another": (
        [user(HELLO), model(GEMINI_CALL | {"thoughtSignature": "AAAA"}), user(GEMINI_RESULT)],
        "Corrupted thought signature",
    ),
    "half a character": ([user({"text": "\ud83d"})], "no low surrogate in string"),
}

CASES = [
    pytest.param(kind, field, messages, expected, id=f"{kind.name}: {name}")
    for kind, field, cases in (
        (StrictChat, "messages", CHAT),
        (StrictResponses, "input", RESPONSES),
        (StrictAnthropic, "messages", ANTHROPIC),
        (StrictGemini, "contents", GEMINI),
    )
    for name, (messages, expected) in cases.items()
]


async def thinks_and_calls(asked: Asked) -> AsyncIterator[Any]:
    if any(line.role == "result" for line in asked.lines):
        yield Say("Done.")
        return
    yield Think("Hm.")
    yield Call("bump", id="call_4" if "input" in asked.body else "")


async def run(server: StrictModel, url: str, text: str = "hello") -> str:
    """One turn of a plain PydanticAI agent with a tool."""
    async with server.model(url) as model:
        agent = Agent(model, instructions="Be kind.", model_settings={"max_retries": 0})

        @agent.tool_plain
        def bump() -> str:
            return "done"

        async with agent.run_stream(text) as answer:
            return str(await answer.get_output())


@pytest.mark.parametrize(("kind", "field", "messages", "expected"), CASES)
async def test_a_refusal(kind: type[StrictModel], field: str, messages: list[Any], expected: str) -> None:
    server = kind(thinks_and_calls)
    async with serve(server.app) as url, httpx.AsyncClient(base_url=url) as client:
        # Run a turn first. The server makes the same ids each time, and the cases refer to the ids of this turn.
        assert await run(server, url) == "Done."
        path = server.path.replace("{model:path}", "gemini:streamGenerateContent")
        body = {"model": "any", field: messages, "thinking": {"type": "enabled"}}
        answer = await client.post(path, content=json.dumps(body))
    assert answer.status_code == 400
    assert expected in str(answer.json())
    assert len(server.refused) == 1


@pytest.mark.parametrize("kind", ALL)
async def test_a_plain_run_is_not_refused(kind: type[StrictModel]) -> None:
    server = kind(thinks_and_calls)
    async with serve(server.app) as url:
        assert await run(server, url) == "Done."
    assert server.refused == []
    assert [line.role for line in server.asked[-1].lines if line.role not in ("system", "reasoning")] == [
        "user",
        "call",
        "result",
    ]


@pytest.mark.parametrize("kind", ALL)
async def test_a_failure_has_the_providers_status(kind: type[StrictModel]) -> None:
    async def fails(asked: Asked) -> AsyncIterator[Any]:
        yield Fail(529)

    server = kind(fails)
    async with serve(server.app) as url:
        with pytest.raises(ModelHTTPError) as failure:
            await run(server, url)
    assert failure.value.status_code == 529


@pytest.mark.parametrize("kind", ALL)
async def test_the_words_of_a_script_are_answered(kind: type[StrictModel]) -> None:
    script: Script = words("Good ", "day.")
    server = kind(script)
    async with serve(server.app) as url:
        assert await run(server, url) == "Good day."
