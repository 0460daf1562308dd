"""A body that has arrived is read, even if the client has disconnected since.

If the client disconnects before the whole body has arrived, the app receives only the disconnect.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from layercode_app.exceptions import PayloadTooLargeError
from layercode_app.server.asgi import read_body
from layercode_app.server.connections import BoundedConnection, Bounds

from ..serving import serve

pytestmark = pytest.mark.anyio

BOUNDS = Bounds(head_bytes=65_536, head_seconds=10, body_seconds=10, unread_seconds=10)
BODY = b"what the caller said " * 1000
HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY)
DISCONNECT = {"type": "http.disconnect"}


class Reader:
    """An app that reads the request when a test lets it. `told` keeps the ASGI messages that the app has received."""

    def __init__(self, *, answers_first: bool = False) -> None:
        self.answers_first = answers_first
        self.begun, self.go_on, self.done = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.told: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun.set()
        await self.go_on.wait()
        if self.answers_first:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
        while not self.told or self.told[-1] != DISCONNECT:
            self.told.append(await receive())
        self.done.set()

    @property
    def body(self) -> bytes:
        """The bytes of the body that the app has received so far."""
        return b"".join(message.get("body", b"") for message in self.told)

    async def read(self) -> None:
        """Let the app read, and wait until it has received the disconnect."""
        self.go_on.set()
        await asyncio.wait_for(self.done.wait(), 100)


@asynccontextmanager
async def caller(app: Reader) -> AsyncIterator[asyncio.StreamWriter]:
    """A connection to the app."""
    async with serve(app, http=partial(BoundedConnection, bounds=BOUNDS), lifespan="off") as url:
        _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        yield writer
        writer.close()


async def leave(writer: asyncio.StreamWriter) -> None:
    """Close the connection, and let the server find out."""
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.05)


async def test_the_client_goes_before_the_body_is_read() -> None:
    app = Reader()
    async with caller(app) as writer:
        writer.write(HEAD + BODY)
        await app.begun.wait()
        await leave(writer)
        await app.read()
    assert app.told == [{"type": "http.request", "body": BODY, "more_body": False}, DISCONNECT]


async def test_the_client_stays_and_goes_later() -> None:
    app = Reader()
    async with caller(app) as writer:
        writer.write(HEAD + BODY)
        await app.begun.wait()
        app.go_on.set()
        while not app.told:
            await asyncio.sleep(0.005)
        assert not app.done.is_set()
        await leave(writer)
        await app.read()
    assert app.told == [{"type": "http.request", "body": BODY, "more_body": False}, DISCONNECT]


async def test_the_client_goes_with_its_last_byte() -> None:
    app = Reader()
    async with caller(app) as writer:
        writer.write(HEAD + BODY[:5000])
        await app.begun.wait()
        app.go_on.set()
        while not app.told:
            await asyncio.sleep(0.005)
        writer.write(BODY[5000:])
        await leave(writer)
        await app.read()
    assert app.body == BODY
    assert [message.get("more_body") for message in app.told][-2:] == [False, None]


async def test_the_client_goes_before_its_body_is_whole() -> None:
    app = Reader()
    async with caller(app) as writer:
        writer.write(HEAD + BODY[:5000])
        await app.begun.wait()
        await leave(writer)
        await app.read()
    assert app.told == [DISCONNECT]


async def test_nothing_is_read_after_the_answer() -> None:
    app = Reader(answers_first=True)
    async with caller(app) as writer:
        writer.write(HEAD + BODY)
        await app.begun.wait()
        await app.read()
    assert app.told == [DISCONNECT]


@pytest.mark.parametrize("stated", ["²".encode("latin-1"), b"9" * 5000, b"-1", b"a"])
async def test_a_length_that_is_no_number_is_no_fault_of_the_server(stated: bytes) -> None:
    messages = iter([{"type": "http.request", "body": b"{}", "more_body": False}])

    async def receive() -> Any:
        return next(messages)

    scope = {"type": "http", "headers": [(b"content-length", stated)]}
    if stated.startswith(b"9"):
        with pytest.raises(PayloadTooLargeError):
            await read_body(scope, receive, limit=100, seconds=100)
    else:
        assert await read_body(scope, receive, limit=100, seconds=100) == b"{}"
