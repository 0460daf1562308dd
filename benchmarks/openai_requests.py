"""Measure the CPU that the OpenAI client needs to prepare a request in a long call.

    python -m benchmarks.openai_requests

By default, the client converts each value of a request. Our server skips this conversion, because the values are JSON
already (layercode_app/_compat/openai_requests.py). Both ways are measured alternately, with the same request. Each
earlier turn of the call has a question, a tool call, its result and an answer.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from typing import Any

from openai.resources.chat.completions import completions
from openai.resources.responses import responses
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params

from layercode_app._compat.openai_requests import CONVERTER, send_json_as_is

TURNS, REPEATS = (1, 10, 30, 60), 30
SCHEMA = {"type": "object", "properties": {"item": {"type": "string"}, "count": {"type": "integer"}}}
FUNCTION = {"name": "order", "description": "Order something.", "parameters": SCHEMA}
CHAT, RESPONSES = "Chat Completions", "Responses"
TYPES: dict[str, Any] = {
    CHAT: completion_create_params.CompletionCreateParamsStreaming,
    RESPONSES: response_create_params.ResponseCreateParamsStreaming,
}


def chat(turns: int) -> dict[str, Any]:
    """Return the body of a Chat Completions request after this many turns."""
    call = {"id": "1", "type": "function", "function": {"name": "order", "arguments": "{}"}}
    turn: list[dict[str, Any]] = [
        {"role": "user", "content": "two rolls, please"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "ordered"},
        {"role": "assistant", "content": "Two rolls. Anything else?"},
    ]
    tools = [{"type": "function", "function": FUNCTION}] * 5
    return {"model": "gpt-test", "stream": True, "tools": tools, "messages": turn * turns}


def response(turns: int) -> dict[str, Any]:
    """Return the body of a Responses request after this many turns."""
    turn: list[dict[str, Any]] = [
        {"role": "user", "content": "two rolls, please"},
        {"type": "function_call", "call_id": "1", "name": "order", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "ordered"},
        {"role": "assistant", "content": "Two rolls. Anything else?"},
    ]
    return {"model": "gpt-test", "stream": True, "tools": [{"type": "function", **FUNCTION}] * 5, "input": turn * turns}


async def milliseconds(convert: Any, body: dict[str, Any], expected: Any) -> float:
    """Return the CPU milliseconds of `await convert(body, expected)`."""
    begun = time.process_time()
    await convert(body, expected)
    return (time.process_time() - begun) * 1000


async def compare(name: str, converting: Any, plain: Any, make: Any) -> None:
    """Print the CPU time of `converting`, the client's own function, and of `plain`, our replacement.

    `make` returns the request of a call with a given number of earlier turns. Each number in TURNS is measured.
    """
    for turns in TURNS:
        body = make(turns)
        found: list[tuple[float, float]] = []
        for _ in range(REPEATS):
            before = await milliseconds(converting, body, TYPES[name])
            found.append((before, await milliseconds(plain, body, TYPES[name])))
        before, after = (statistics.median(values) for values in zip(*found, strict=True))
        print(f"{name:16} {turns:3} earlier turns: {before:6.2f} ms with conversion, {after:5.2f} ms without")


async def main() -> int:
    """Measure requests to the Chat Completions API and to the Responses API."""
    modules = (completions, responses)
    converting = [getattr(module, CONVERTER) for module in modules]
    send_json_as_is()
    plain = [getattr(module, CONVERTER) for module in modules]
    await compare(CHAT, converting[0], plain[0], chat)
    await compare(RESPONSES, converting[1], plain[1], response)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
