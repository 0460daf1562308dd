"""The toolkit's changes to the OpenAI client save work, and do not change what the client sends.

The client does not convert values that are JSON already. It reuses the copies of itself that `with_options` makes.
"""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, completion_create_params
from openai.types.responses import response_create_params
from pydantic import BaseModel

from layercode_app._compat.openai_requests import CONVERTER, SENDS_JSON, is_json, keep_copies, send_json_as_is

pytestmark = pytest.mark.anyio

CHAT, RESPONSES = (importlib.import_module(name) for name in SENDS_JSON)
TOOL = {
    "name": "order",
    "description": "Order.",
    "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}},
}
PICTURE = "data:image/png;base64,AAAA"
CHAT_BODY: dict[str, Any] = {
    "model": "gpt-test",
    "stream": True,
    "temperature": 0.2,
    "stop": openai.Omit(),
    "metadata": {"caller": "1"},
    "stream_options": {"include_usage": True},
    "tools": [{"type": "function", "function": TOOL}],
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "hello"}, {"type": "image_url", "image_url": {"url": PICTURE}}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "order", "arguments": '{"n": 1}'}}
        ]},
        {"role": "tool", "tool_call_id": "1", "content": "done"},
        {"role": "assistant", "content": "Ordered.", "a field of another provider": {"from": None}},
    ],
}  # fmt: skip
RESPONSES_BODY: dict[str, Any] = {
    "model": "gpt-test",
    "stream": True,
    "instructions": "Be brief.",
    "previous_response_id": openai.NotGiven(),
    "text": {"format": {"type": "json_schema", "name": "answer", "schema": {"type": "object"}, "strict": True}},
    "reasoning": {"effort": "low", "summary": "auto"},
    "tools": [{"type": "function", "strict": True, **TOOL}, {"type": "web_search", "user_location": {"type": "approximate"}}],
    "input": [
        {"role": "user", "content": "hello"},
        {"role": "user", "content": [{"type": "input_image", "image_url": PICTURE, "detail": "auto"}]},
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "thought"}], "encrypted_content": "x"},
        {"type": "function_call", "call_id": "1", "name": "order", "arguments": '{"n": 1}'},
        {"type": "function_call_output", "call_id": "1", "output": "done"},
        {"role": "assistant", "content": "Ordered.", "phase": "final_answer"},
    ],
}  # fmt: skip
BODIES = [
    (CHAT, CHAT_BODY, completion_create_params.CompletionCreateParamsStreaming),
    (RESPONSES, RESPONSES_BODY, response_create_params.ResponseCreateParamsStreaming),
]


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Patch the OpenAI client so that it does not convert values that are JSON already.

    Return a list. Each value that the client's own converter still receives is added to it.
    """
    given: list[Any] = []
    for module in (CHAT, RESPONSES):
        own = getattr(module, CONVERTER)
        while hasattr(own, "converts_others"):
            own = own.converts_others

        async def convert(data: Any, expected: Any, own: Any = own) -> Any:
            given.append(data)
            return await own(data, expected)

        monkeypatch.setattr(module, CONVERTER, convert)
    assert send_json_as_is()
    return given


@pytest.mark.parametrize(("module", "body", "expected"), BODIES)
async def test_json_is_what_the_client_would_have_sent(
    module: Any, body: dict[str, Any], expected: Any, converted: list[Any]
) -> None:
    sent = await getattr(module, CONVERTER)(body, expected)
    assert converted == []
    assert sent == await openai._utils.async_maybe_transform(body, expected)


class Part(BaseModel):
    type: str = "text"
    text: str | None = None


@pytest.mark.parametrize(
    "content",
    [
        [Part(text="hello")],
        ({"type": "text", "text": "hello"},),
        [{"type": "text", "text": "hello", "more": openai.Omit()}],
    ],
)
async def test_everything_else_is_converted_as_before(content: Any, converted: list[Any]) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": content}]
    expected = completion_create_params.CompletionCreateParamsStreaming
    sent = await getattr(CHAT, CONVERTER)({"model": "gpt-test", "messages": messages}, expected)
    assert len(converted) == 1
    assert sent == await openai._utils.async_maybe_transform({"model": "gpt-test", "messages": messages}, expected)


def test_it_is_installed_once(converted: list[Any]) -> None:
    once = getattr(CHAT, CONVERTER)
    assert send_json_as_is()
    assert getattr(CHAT, CONVERTER) is once


def test_without_the_converter_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (CHAT, RESPONSES):
        monkeypatch.delattr(module, CONVERTER)
    assert not send_json_as_is()
    assert not hasattr(CHAT, CONVERTER)


@pytest.mark.parametrize("value", [object(), {1: "one"}, ("a",), {"a": [b"b"]}, {"a": iter([])}, Part()])
def test_what_is_no_json(value: object) -> None:
    assert not is_json(value)


# --- copies


def _copy(client: Any, **options: Any) -> Any:
    return client.with_options(http_client=client._client, max_retries=0, _extra_kwargs={}, **options)


def test_a_copy_is_kept_until_the_client_changes() -> None:
    client: Any = openai.AsyncOpenAI(api_key="test-one", base_url="http://127.0.0.1:1/v1")
    assert keep_copies(client)
    assert keep_copies(client)
    copy = _copy(client)
    assert (copy.max_retries, client.max_retries) == (0, 2)
    assert client.chat.completions is client.chat.completions
    assert _copy(client) is copy
    client.api_key = "test-two"
    other = _copy(client)
    assert other is not copy
    assert other.api_key == "test-two"
    client.timeout = 7
    assert _copy(client).timeout == 7


def test_copies_with_other_options_are_new_each_time() -> None:
    client: Any = openai.AsyncOpenAI(api_key="test-one", base_url="http://127.0.0.1:1/v1")
    keep_copies(client)
    assert client.with_options(timeout=3) is not client.with_options(timeout=3)
    assert client.with_options(max_retries=1, http_client=client._client).max_retries == 1
    assert _copy(client, timeout=3).timeout == 3
    assert _copy(client).timeout != 3


def test_other_clients_stay_as_they_are() -> None:
    other = SimpleNamespace(with_options=None)
    assert not keep_copies(other)
    assert vars(other) == {"with_options": None}
    assert not keep_copies(None)
