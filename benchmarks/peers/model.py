"""Serve the model that all peers use. The server speaks OpenAI's streaming Chat Completions API.

The server needs so little CPU that it does not affect the figures.

The load generator says "hello there", and the answer has ten words, ten milliseconds apart. The answer to "hold" is one
word, and its stream stays open. The answer to `THIRTY` is thirty words; the answer to `ORDER` is a tool call, then
thirty words. The answer to any other text repeats all texts of the caller so far, without the last text if it is a
question. This shows whether a backend has the history.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import uvloop

from ..servers import TOKEN_SECONDS, TOKENS
from .catalogue import ROOT

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
COMMON = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test"}
REMEMBERED_WORDS = 12
THIRTY, ORDER = "thirty words please", "order thirty words please"
"""Texts of a caller. The answer to both is thirty words; the answer to ORDER first calls the tool `order`."""


def _chunk(payload: str) -> bytes:
    data = f"data: {payload}\n\n".encode()
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _piece(text: str) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
    return _chunk(json.dumps(COMMON | {"choices": [choice]}))


def _end() -> bytes:
    stop = COMMON | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = {"prompt_tokens": 11, "completion_tokens": TOKENS, "total_tokens": 11 + TOKENS}
    chunks = [json.dumps(stop), json.dumps(COMMON | {"choices": [], "usage": usage}), "[DONE]"]
    return b"".join(map(_chunk, chunks)) + b"0\r\n\r\n"


def _call() -> bytes:
    function = {"name": "order", "arguments": '{"item": "words", "count": 30}'}
    delta = {
        "role": "assistant",
        "tool_calls": [{"index": 0, "id": "call-1", "type": "function", "function": function}],
    }
    return _chunk(json.dumps(COMMON | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}))


WORDS = [_piece(f"word{number} ") for number in range(TOKENS)]
CALL = _call()
END = _end()


def reply(messages: list[dict[str, Any]]) -> list[bytes]:
    """Return the pieces of an answer. The answer to "hold" has no end, so its stream stays open."""
    said = [_text(message["content"]) for message in messages if message["role"] == "user"]
    if "hold" in said[-1]:
        return WORDS[:1]
    if said[-1].startswith("hello there"):
        return [*WORDS, END]
    if said[-1] == ORDER and messages[-1]["role"] == "user":
        return [CALL, END]
    if said[-1] in (THIRTY, ORDER):
        return [*WORDS * 3, END]
    before = said[:-1] if said[-1].endswith("?") else said
    heard = " then ".join(" ".join(text.split()[:REMEMBERED_WORDS]) for text in before)
    return [*(_piece(word + " ") for word in f"So far you said: {heard or 'nothing'}.".split()), END]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else " ".join(str(part.get("text", "")) for part in content)


class Model(asyncio.Protocol):
    """The server side of one connection. It answers one request after another, as the model would."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Prepare to receive a request."""
        # uvloop's transports have the methods of asyncio's classes but do not inherit from them.
        self._transport = cast(asyncio.Transport, transport)
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Answer as soon as the request is complete."""
        self._received += data
        head, gap, body = self._received.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if gap and not lengths:  # a request without a body, which opens the connection before the first turn
            self._received = b""
            self._transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        elif gap and len(body) >= int(lengths[0].split(b":")[1]):
            self._received = b""
            self._transport.write(HEAD)
            self._speak(iter(reply(json.loads(body)["messages"])))

    def _speak(self, pieces: Iterator[bytes]) -> None:
        piece = next(pieces, None)
        if piece is not None and not self._transport.is_closing():
            self._transport.write(piece)
            self._timer = asyncio.get_running_loop().call_later(TOKEN_SECONDS, self._speak, pieces)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the answer."""
        if self._timer is not None:
            self._timer.cancel()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Run until the parent process ends: then standard input is closed.
    await asyncio.to_thread(sys.stdin.read)


@contextmanager
def model_server() -> Iterator[str]:
    """Serve the model in a separate process. Yield its base URL."""
    command = [sys.executable, "-m", "benchmarks.peers.model"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


if __name__ == "__main__":
    uvloop.run(_serve())
