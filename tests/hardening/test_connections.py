"""Clients that are slow, endless or silent, or do not speak HTTP, are disconnected. Other clients are unaffected."""

from __future__ import annotations

import asyncio
import logging
import random
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from layercode_app import LayerCode, Turn, VoiceAgent
from layercode_app.emulator.webhooks import WebhookClient
from layercode_app.server.serve import uvicorn_options
from layercode_app.testing.bench.connection import Address

from ..calling import SECRET, Caller, settings
from ..serving import serve

pytestmark = pytest.mark.anyio

IDLE = 1_000
RAW = 300
HEAD = b"POST /api/agent HTTP/1.1\r\nhost: x\r\n"
PIECE = "word " * 2_000
MANY = 2_000
"""The number of pieces of a long answer. The answer has 20 MB, so no socket can buffer all of it."""

talker = VoiceAgent("talker")
pieces: list[int] = []


@talker.on_message
async def talk(turn: Turn) -> Any:
    """Answer with one word, unless the message is `endless` or `at once`.

    Both of these get the same long answer: `endless` gets it in many pieces, `at once` gets it in one piece.
    """
    pieces.clear()
    if turn.text == "endless":
        for number in range(MANY):
            pieces.append(number)
            yield PIECE
            await asyncio.sleep(0)
    else:
        yield PIECE * MANY if turn.text == "at once" else "hello"


class Server:
    """The server under test, and a well-behaved caller of it."""

    def __init__(self, app: LayerCode, url: str, said: list[str]) -> None:
        self.app, self.url, self.said = app, url, said
        self._calls = 0

    async def open(self, *, receive_buffer: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a new connection. If the client does not read, a small `receive_buffer` is soon full."""
        one = socket.socket()
        one.setblocking(False)
        if receive_buffer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", Address(self.url).port))
        return await asyncio.open_connection(sock=one, limit=1024)

    async def answers(self) -> None:
        """Check that another caller is answered meanwhile."""
        self._calls += 1
        # Open a new connection. The server may close a kept connection at the moment when the client reuses it.
        async with WebhookClient(f"{self.url}/api/agent", SECRET) as client:
            reply = await asyncio.wait_for(Caller(client, f"well-behaved-{self._calls}").say("hi"), 100)
        assert reply.spoken == "hello"

    async def has_said(self, words: str) -> None:
        """Wait until the log has a line with these words."""
        async with asyncio.timeout(100):
            while not any(words in line for line in self.said):
                await asyncio.sleep(0.05)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Yield the lines that are logged as warnings or errors. An error, also one of uvicorn, fails the test."""
    lines: list[str] = []
    errors: list[str] = []
    sinks = [logger.add(lambda line: lines.append(str(line)), level="WARNING")]
    sinks.append(logger.add(lambda line: errors.append(str(line)), level="ERROR"))
    yield lines
    for sink in sinks:
        logger.remove(sink)
    errors += [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == []


Serve = Callable[..., Any]


@pytest.fixture
def served(tmp_path: Path, said: list[str]) -> Serve:
    """Return a context manager that serves with the settings that it is given.

    At the end of its block, it checks that the server still answers a caller.
    """

    @asynccontextmanager
    async def serving(**given: Any) -> AsyncIterator[Server]:
        own = settings(tmp_path, store="memory", **given)
        app = LayerCode(talker, settings=own)
        options = {
            name: value for name, value in uvicorn_options(own).items() if name in ("http", "timeout_keep_alive")
        }
        async with serve(app, **options) as url:
            server = Server(app, url, said)
            # The first turn imports what all others need.
            await server.answers()
            yield server
            await server.answers()

    return serving


async def drip(writer: asyncio.StreamWriter, data: bytes, *, seconds: float = 0.02) -> None:
    """Send one byte at a time until the server closes the connection."""
    with suppress(ConnectionError):
        while True:
            for number in range(len(data)):
                writer.write(data[number : number + 1])
                await writer.drain()
                await asyncio.sleep(seconds)


@asynccontextmanager
async def doing(work: Awaitable[None]) -> AsyncIterator[None]:
    """Run `work` in the background while the block runs, and cancel it at the end."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await task


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Return all bytes that arrive until the server closes or resets the connection."""
    found = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(100):
            while piece := await reader.read(65_536):
                found += piece
    return found


def refused(answer: bytes, status: int) -> None:
    """Assert that the answer has this status, or that no answer arrived.

    If the server disconnects before it has read all bytes that the test sent, the connection is reset, and the answer
    can be lost.
    """
    assert not answer or answer.startswith(f"HTTP/1.1 {status} ".encode())


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_headers_that_come_a_byte_at_a_time_are_refused(served: Serve) -> None:
    async with served(header_timeout=1.0) as server:
        reader, writer = await server.open()
        async with doing(drip(writer, HEAD + b"x-more: more\r\n" * 1_000)):
            await server.answers()
            refused(await rest(reader), 408)
        await server.has_said("refused with 408")
        await close(writer)


async def test_a_body_that_comes_a_byte_at_a_time_does_not_hold_the_connection(served: Serve) -> None:
    """The server answers with an error and disconnects, whether or not the route reads the body."""

    async def send(server: Server, path: str, status: int) -> None:
        reader, writer = await server.open()
        writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n".encode())
        async with doing(drip(writer, b"{")):
            refused(await rest(reader), status)
        await close(writer)

    async with served(body_timeout=0.5, authorize_body_limit=100) as server:
        expected = {"/api/agent": 408, "/health": 404, "/nowhere": 404, "/api/nowhere": 404, "/api/authorize": 413}
        await asyncio.gather(*(send(server, path, status) for path, status in expected.items()), server.answers())
        await server.has_said("the body of its request did not arrive in time")


async def test_a_connection_on_which_nothing_comes_is_closed(served: Serve) -> None:
    async with served(header_timeout=0.5) as server:
        reader, writer = await server.open()
        assert await rest(reader) == b""
        await close(writer)


async def test_blank_lines_do_not_keep_a_connection(served: Serve) -> None:
    async with served(header_timeout=0.5, keep_alive=60) as server:
        reader, writer = await server.open()
        writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        async with doing(drip(writer, b"\r\n")):
            await rest(reader)
        await server.has_said("refused with 408")
        await close(writer)


async def test_a_kept_connection_may_rest_longer_than_headers_may_take(served: Serve) -> None:
    async with served(header_timeout=0.2, keep_alive=60) as server:
        reader, writer = await server.open()
        for pause in (0.6, 0):
            writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(pause)
        await close(writer)


async def test_an_idle_connection_is_closed_after_a_while(served: Serve) -> None:
    async with served(keep_alive=1) as server:
        reader, writer = await server.open()
        writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await rest(reader)).endswith(b'{"status":"ok"}')
        await close(writer)


@pytest.mark.parametrize("start", [HEAD, b"GET /"])
async def test_headers_without_end_are_refused(served: Serve, start: bytes) -> None:
    async with served(header_limit=20_000) as server:
        reader, writer = await server.open()
        sent = 0
        with suppress(ConnectionError):
            writer.write(start)
            while sent < 50_000_000 and not reader.at_eof():
                writer.write(b"x" * 10_000 if start != HEAD else b"x-more: %s\r\n" % (b"x" * 1_000))
                sent += 1_000
                await writer.drain()
                await asyncio.sleep(0)
        assert sent < 50_000_000
        refused(await rest(reader), 431)
        await server.has_said("have over 20000 bytes")
        await close(writer)


@pytest.mark.parametrize("text", ["endless", "at once"])
async def test_a_reader_who_takes_almost_nothing_is_cut_off(served: Serve, text: str) -> None:
    async with served(unread_timeout=1.0, keep_alive=1) as server:
        reader, writer = await server.open(receive_buffer=4096)
        event = {"type": "message", "session_id": "s", "conversation_id": "c", "turn_id": "t", "text": text}
        writer.write(Address(f"{server.url}/api/agent").request(event, SECRET))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        await server.answers()
        for _ in range(5):
            await reader.readexactly(1)
            await asyncio.sleep(0.1)
        await server.has_said("the client does not read the answer")
        await server.answers()
        await close(writer)
        async with asyncio.timeout(100):
            while server.app.turns.running:
                await asyncio.sleep(0.05)
        record = await server.app.store.get("c", "t")
        assert record is not None
        if text == "endless":
            assert record.status == "interrupted"
            assert len(record.frames) < MANY


@pytest.mark.slow
async def test_a_thousand_idle_connections(served: Serve) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * IDLE + 300
    assert hard == resource.RLIM_INFINITY or hard >= wanted, f"this needs {wanted} open files, `ulimit -Hn` is {hard}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        async with served(header_timeout=60.0) as server:
            idle = [await server.open() for _ in range(IDLE)]
            await server.answers()
            assert not any(reader.at_eof() for reader, _ in idle)
            await asyncio.gather(*(close(writer) for _, writer in idle))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def raw(chance: random.Random) -> bytes:
    """Return random bytes, or a damaged HTTP request: some of its bytes are changed, repeated or cut off."""
    if chance.random() < 0.3:
        return chance.randbytes(chance.randint(1, 2_000))
    whole = bytearray(HEAD + b"content-length: 20\r\nlayercode-signature: t=1,v1=00\r\n\r\n" + b"{" * 20)
    if chance.random() < 0.3:
        whole = bytearray(b"POST /api/agent HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{{{{{\r\nffffffff\r\n{")
    for _ in range(chance.randint(1, 6)):
        whole[chance.randrange(len(whole))] = chance.randrange(256)
    return bytes(whole[: chance.randint(1, len(whole))]) * chance.choice((1, 1, 1, 3))


async def test_random_bytes_on_a_connection(served: Serve) -> None:
    chance = random.Random(8)
    async with served(header_timeout=0.3, body_timeout=0.3) as server:

        async def throw(data: bytes) -> bytes:
            reader, writer = await server.open()
            writer.write(data)
            if chance.random() < 0.5:
                writer.write_eof()
            answer = await rest(reader)
            await close(writer)
            return answer

        answers = await asyncio.gather(*(throw(raw(chance)) for _ in range(RAW)))
    statuses = {answer[9:12] for answer in answers if answer}
    assert statuses
    assert all(status.startswith(b"4") for status in statuses)
