"""A stream is sent as uvicorn sends it, byte for byte: to clients that keep the connection, close it, or are slow."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from layercode_app.server import socket_writer
from layercode_app.server.connections import BoundedConnection, Bounds
from layercode_app.stream.event_stream import START
from layercode_app.stream.frames import HEADERS

from ..serving import serve

pytestmark = pytest.mark.anyio

PIECES = [b"data: one\n\n", b"", b"data: " + b"long " * 5000 + b"\n\n", b"data: end\n\n"]
DATE = re.compile(rb"date: [^\r]+\r\n")
BOUNDS = Bounds(head_bytes=65_536, head_seconds=10, body_seconds=10, unread_seconds=10)


def app(start: Any) -> Any:
    """Return an app that sends a copy of `start`, the start of the response, and then streams PIECES."""

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await send({**start, "headers": [*start["headers"]]})
        for number, piece in enumerate(PIECES, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(PIECES)})

    return stream


async def exchange(url: str, *requests: bytes) -> bytes:
    """Send the requests on one connection, one after the other. Return all answers as bytes, with a fixed date."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port, limit=1 << 20)
    answer = b""
    try:
        for request in requests:
            writer.write(request)
            answer += await asyncio.wait_for(reader.readuntil(b"data: end\n\n"), 100)
            if b"chunked" in answer:
                answer += await asyncio.wait_for(reader.readuntil(b"\r\n0\r\n\r\n"), 100)
    finally:
        writer.close()
    return DATE.sub(b"date: today\r\n", answer)


def request(version: str = "1.1", method: str = "POST", more: str = "") -> bytes:
    return f"{method} / HTTP/{version}\r\nhost: x\r\ncontent-length: 0\r\n{more}\r\n".encode()


BOUNDED: dict[str, Any] = {"http": partial(BoundedConnection, bounds=BOUNDS), "server_header": False}


@pytest.mark.parametrize(
    "requests",
    [
        (request(),),
        (request(), request(), request()),
        (request(more="expect: 100-continue\r\n"),),
        (request(more="connection: close\r\n"),),
    ],
    ids=["one", "several", "continue", "close"],
)
async def test_it_is_what_uvicorn_sends(requests: tuple[bytes, ...]) -> None:
    async with serve(app({**START, "headers": HEADERS}), server_header=False) as url:
        expected = await exchange(url, *requests)
    async with serve(app(START), **BOUNDED) as url:
        assert await exchange(url, *requests) == expected
    assert expected.count(b"HTTP/1.1 200 OK") == len(requests)


async def test_a_header_that_middleware_adds_is_sent() -> None:
    async with serve(app({**START, "headers": [*HEADERS, (b"x-request-id", b"7")]}), **BOUNDED) as url:
        assert b"\r\nx-request-id: 7\r\n" in await exchange(url, request())


async def test_requests_that_are_sent_together_are_answered_in_order() -> None:
    async with serve(app(START), **BOUNDED) as url:
        answer = await exchange(url, request() * 3, b"", b"")
    assert answer.count(b"HTTP/1.1 200 OK") == answer.count(b"data: end\n\n") == 3


async def test_the_head_is_made_again_when_the_date_changes() -> None:
    first, later = [(b"date", b"today")], [(b"date", b"tomorrow")]
    assert socket_writer._heads.of(first) is socket_writer._heads.of(first)
    assert b"date: tomorrow\r\n" in socket_writer._heads.of(later)
    assert b"date: today\r\n" in socket_writer._heads.of(first)


async def test_the_short_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    of = socket_writer._heads.of

    def noted(headers: Any) -> bytes:
        made.append(headers)
        return of(headers)

    monkeypatch.setattr(socket_writer._heads, "of", noted)
    async with serve(app(START), **BOUNDED) as url:
        await exchange(url, request(), request())
    assert len(made) == 2


class Socket:
    """A stand-in for uvicorn's request-response cycle. It records what is written to its transport."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.done: list[str] = []
        self.flow, self.message_event = SimpleNamespace(write_paused=False), SimpleNamespace(set=self._does("told"))
        self.transport = SimpleNamespace(write=self.written.append, close=self._does("closed"))
        self.on_response, self.response_complete = self._does("responded"), False
        self.disconnected = self.response_started = self.chunked_encoding = self.waiting_for_100_continue = False
        self.keep_alive, self.default_headers = True, [(b"date", b"today")]

    def _does(self, what: str) -> Callable[[], None]:
        return lambda: self.done.append(what)

    async def send(self, message: Any) -> None:
        self.written.append(message["body"])


def piece(*, more: bool) -> Any:
    return {"type": "http.response.body", "body": b"piece", "more_body": more}


async def test_the_head_goes_with_the_first_piece_and_never_after_it() -> None:
    one, two = Socket(), Socket()
    for cycle in (one, two):
        send = socket_writer.StreamSend(cycle, cycle.send)
        await send(START)
        cycle.flow.write_paused = cycle is two
        await send(piece(more=True))
    (whole,) = one.written
    assert whole.endswith(b"\r\n\r\n5\r\npiece\r\n")
    assert two.written == [whole.removesuffix(b"5\r\npiece\r\n"), b"piece"]


async def test_a_whole_answer_is_one_write_and_ends_the_response() -> None:
    cycle = Socket()
    send = socket_writer.StreamSend(cycle, cycle.send)
    await send(START)
    cycle.keep_alive = False  # the server goes down meanwhile
    await send(piece(more=False))
    (whole,) = cycle.written
    assert whole.endswith(b"\r\n\r\n5\r\npiece\r\n0\r\n\r\n")
    assert cycle.done == ["told", "closed", "responded"]
    assert cycle.response_complete
    await send(piece(more=False))
    assert cycle.written[1:] == [b"piece"], "a message after the end is passed on, so that uvicorn reports the mistake"
