"""A local server that streams like OpenAI's chat completions and Responses API, and keeps the requests that it gets.

A chat completion may hang at each point of an answer, and may call a tool.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Point: TypeAlias = Literal["headers", "body", "sentence", "call", "tool"]
"""Where an answer hangs: before its headers, before its body, after its first word, in a tool call, after a tool ran."""


@dataclass
class ModelServer:
    """A model server whose answers a test can choose.

    `reply` makes the words of an answer from the request's messages. Between two words, `delay` seconds pass.

    If a request asks for no stream and offers tools, the server answers with a tool call. It calls the first tool, with
    the words as the arguments.
    """

    reply: Callable[[list[dict[str, Any]]], str] = lambda messages: f"You sent {len(messages)} messages."
    delay: float = 0.0
    status: int = 200
    refused_models: tuple[str, ...] = ()
    """The models whose requests get status 503. All other models answer."""
    call: str = ""
    """The tool that a streamed answer calls after its words, unless the request already has a tool's result."""
    hang: Point | None = None
    hangs: int = 1_000
    """The number of requests that hang. All later requests are answered."""
    hanging_models: tuple[str, ...] | None = None
    """The models that hang. All other models answer. None means that every model hangs."""
    plain: bool = False
    """Whether a chat completion that is not streamed is plain text, even if the request offers a tool.

    Real models often answer so.
    """
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    open_streams: int = 0

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/responses", self._responses, methods=["POST"]),
            ]
        )

    async def _take(self, request: Request, key: str) -> tuple[list[str], Response | None]:
        body = json.loads(await request.body())
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        status = 503 if body["model"] in self.refused_models else self.status
        if status != 200:
            return [], JSONResponse({"error": {"message": "refused", "type": "test"}}, status)
        words = self.reply(body[key]).split(" ")
        return [word + " " for word in words[:-1]] + words[-1:], None

    def _hangs_at(self, *points: Point) -> bool:
        """Whether this request hangs at one of these points."""
        request = self.requests[-1]
        answered = any(message["role"] == "tool" for message in request["messages"])
        here = self.hang in points and (answered if self.hang == "tool" else True)
        if not here or self.hangs <= 0 or request["model"] not in (self.hanging_models or [request["model"]]):
            return False
        self.hangs -= 1
        return True

    async def _chat(self, request: Request) -> Response:
        words, refused = await self._take(request, "messages")
        if self._hangs_at("headers", "tool"):
            while not await request.is_disconnected():
                await asyncio.sleep(0.005)
        if refused is None and not self.requests[-1].get("stream"):
            tools = None if self.plain else self.requests[-1].get("tools")
            return JSONResponse(_chat_answer("".join(words), tools))
        return refused or StreamingResponse(self._chat_events(words), media_type="text/event-stream")

    async def _chat_events(self, words: list[str]) -> AsyncIterator[str]:
        common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test"}

        def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> str:
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            return f"data: {json.dumps(common | {'choices': [choice]} | more)}\n\n"

        answered = any(message["role"] == "tool" for message in self.requests[-1]["messages"])
        function = {"name": self.call, "arguments": "{"}
        async with self._streaming():
            if self._hangs_at("body"):
                await asyncio.sleep(3600)
            yield chunk({"role": "assistant", "content": ""})
            for word in words if answered or not self.call or self.hang != "call" else []:
                await asyncio.sleep(self.delay)
                yield chunk({"content": word})
                if self._hangs_at("sentence"):
                    await asyncio.sleep(3600)
            if self.call and not answered:
                yield chunk({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]})
                if self._hangs_at("call"):
                    await asyncio.sleep(3600)
                yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]})
            yield chunk({}, "tool_calls" if self.call and not answered else "stop")
            usage = {"prompt_tokens": 11, "completion_tokens": len(words), "total_tokens": 11 + len(words)}
            yield f"data: {json.dumps(common | {'choices': [], 'usage': usage})}\n\n"
            yield "data: [DONE]\n\n"

    async def _responses(self, request: Request) -> Response:
        words, refused = await self._take(request, "input")
        if refused is None and not self.requests[-1].get("stream"):
            return JSONResponse(_response("completed", [_item("".join(words), self.requests[-1].get("tools"))]))
        return refused or StreamingResponse(self._response_events(words), media_type="text/event-stream")

    async def _response_events(self, words: list[str]) -> AsyncIterator[str]:
        numbers = iter(range(10_000))

        def event(kind: str, **more: Any) -> str:
            payload = {"type": kind, "sequence_number": next(numbers), **more}
            return f"event: {kind}\ndata: {json.dumps(payload)}\n\n"

        item: dict[str, Any] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        part: dict[str, Any] = {"type": "output_text", "text": "", "annotations": []}
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        text = "".join(words)
        async with self._streaming():
            yield event("response.created", response=_response("in_progress", []))
            yield event("response.output_item.added", output_index=0, item=item)
            yield event("response.content_part.added", **place, part=part)
            for word in words:
                await asyncio.sleep(self.delay)
                yield event("response.output_text.delta", **place, delta=word, logprobs=[])
            done = item | {"status": "completed", "content": [part | {"text": text}]}
            yield event("response.output_text.done", **place, text=text, logprobs=[])
            yield event("response.output_item.done", output_index=0, item=done)
            yield event("response.completed", response=_response("completed", [done]))

    def _streaming(self) -> _Streaming:
        return _Streaming(self)


class _Streaming:
    def __init__(self, server: ModelServer) -> None:
        self._server = server

    async def __aenter__(self) -> None:
        self._server.open_streams += 1

    async def __aexit__(self, *_: object) -> None:
        self._server.open_streams -= 1


def _chat_answer(text: str, tools: list[dict[str, Any]] | None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None if tools else text}
    if tools:
        function = {"name": tools[0]["function"]["name"], "arguments": text}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if tools else "stop"}
    usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
    common = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-test"}
    return common | {"choices": [choice], "usage": usage}


def _item(text: str, tools: list[dict[str, Any]] | None) -> dict[str, Any]:
    if tools:
        call = {"id": "fc_1", "call_id": "call_1", "name": tools[0]["name"], "arguments": text}
        return {"type": "function_call", "status": "completed"} | call
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def _response(status: str, output: list[Any]) -> dict[str, Any]:
    usage = {
        "input_tokens": 11,
        "output_tokens": 5,
        "total_tokens": 16,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "gpt-test",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if status == "completed" else None,
    }
