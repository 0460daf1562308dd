"""The webhook client over real sockets."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from layercode_app.emulator.webhooks import WebhookClient
from layercode_app.exceptions import ConfigurationError, DeliveryError
from layercode_app.webhook import HEADER, parse_event, verify

from ..serving import serve

pytestmark = pytest.mark.anyio

SECRET = "test-secret"
EVENT = {"type": "message", "session_id": "s", "conversation_id": "c", "turn_id": "t", "text": "hi", "x": 2.0}
SSE = [(b"content-type", b"text/event-stream; charset=utf-8")]
JSON = [(b"content-type", b"application/json")]


class Backend:
    """A bare ASGI app that answers with a script, and records the bodies and headers of the requests."""

    def __init__(self, *steps: bytes | float | asyncio.Event, status: int = 200, headers: Any = SSE) -> None:
        self.steps, self.status, self.headers = steps, status, headers
        self.bodies: list[bytes] = []
        self.seen: list[dict[str, str]] = []
        self.arrived, self.gone = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.bodies.append((await receive())["body"])
        self.seen.append({key.decode(): value.decode() for key, value in scope["headers"]})
        self.arrived.set()
        answering = asyncio.create_task(self._answer(send))
        answering.add_done_callback(lambda _: watching.cancel())
        watching = asyncio.create_task(self._watch(receive, answering))
        await asyncio.wait([answering, watching])

    async def _watch(self, receive: Receive, answering: asyncio.Task[None]) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone.set()
        answering.cancel()

    async def _answer(self, send: Callable[[Any], Awaitable[None]]) -> None:
        started = False
        for step in self.steps:
            if isinstance(step, float):
                await asyncio.sleep(step)
                continue
            if isinstance(step, asyncio.Event):
                await step.wait()
                continue
            if not started:
                await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
                started = True
            await send({"type": "http.response.body", "body": step, "more_body": True})
        if not started:
            await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": b""})


def sse(kind: str, content: Any = None) -> bytes:
    return b"data: " + json.dumps({"type": kind, "content": content, "turn_id": "t"}).encode() + b"\n\n"


async def test_frames_come_as_they_are_sent_with_their_times() -> None:
    go = asyncio.Event()
    backend = Backend(sse("response.tts", "Hé"), go, sse("response.data", {"a": 1}) + sse("response.end"))
    async with serve(backend) as url, WebhookClient(url, SECRET) as client, client.deliver(EVENT) as answer:
        assert answer.ok
        assert answer.is_stream
        frames = answer.frames()
        first = await anext(frames)
        assert (first.type, first.content, first.turn_id) == ("response.tts", "Hé", "t")
        go.set()
        rest = [frame async for frame in frames]
        assert [frame.type for frame in rest] == ["response.data", "response.end"]
        assert 0 < answer.accepted_ms <= first.at_ms <= rest[0].at_ms


async def test_the_body_is_signed_as_it_is_sent() -> None:
    backend = Backend(b'{"ok": true}', headers=JSON)
    headers = {"x-tenant": "bakery"}
    async with (
        serve(backend) as url,
        WebhookClient(url, SECRET, headers=headers) as client,
        client.deliver(EVENT, headers={"x-extra": "1"}) as answer,
    ):
        assert not answer.is_stream
        assert await answer.json() == {"ok": True}
    body, seen = backend.bodies[0], backend.seen[0]
    verify(seen[HEADER], body, [SECRET])
    assert parse_event(body).conversation_id == "c"
    assert b'"x":2}' in body
    assert (seen["x-tenant"], seen["x-extra"], seen["content-type"]) == ("bakery", "1", "application/json")


@pytest.mark.parametrize("when", ["before the first byte", "while it streams"])
async def test_leaving_closes_the_connection(when: str) -> None:
    never = asyncio.Event()
    first = [] if when == "before the first byte" else [sse("response.tts", "one")]
    backend = Backend(*first, never, sse("response.end"))
    reading = asyncio.Event()

    async def listen(client: WebhookClient) -> None:
        async with client.deliver(EVENT) as answer:
            async for _ in answer.frames():
                reading.set()

    async with serve(backend) as url, WebhookClient(url, SECRET) as client:
        task = asyncio.create_task(listen(client))
        await asyncio.wait_for((reading if first else backend.arrived).wait(), 100)
        task.cancel()
        await asyncio.wait_for(backend.gone.wait(), 100)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_breaking_out_of_the_frames_closes_too() -> None:
    backend = Backend(sse("response.tts", "one"), asyncio.Event())
    async with serve(backend) as url, WebhookClient(url, SECRET) as client:
        async with client.deliver(EVENT) as answer:
            async for _ in answer.frames():
                break
        await asyncio.wait_for(backend.gone.wait(), 100)


async def test_it_is_known_when_the_request_is_out() -> None:
    go, sent = asyncio.Event(), asyncio.Event()

    async def deliver(client: WebhookClient) -> None:
        async with client.deliver(EVENT, on_sent=sent.set) as answer:
            await answer.body()

    backend = Backend(go)
    async with serve(backend) as url, WebhookClient(url, SECRET) as client:
        task = asyncio.create_task(deliver(client))
        await asyncio.wait_for(sent.wait(), 100)
        await asyncio.wait_for(backend.arrived.wait(), 100)
        assert not task.done()
        go.set()
        await task


async def test_a_refusal_is_an_answer() -> None:
    backend = Backend(b'{"error": "no"}', status=401, headers=JSON)
    async with serve(backend) as url, WebhookClient(url, SECRET) as client, client.send(b"junk") as answer:
        assert (answer.status, answer.ok, await answer.json()) == (401, False, {"error": "no"})
    assert HEADER not in backend.seen[0]
    assert backend.bodies == [b"junk"]


async def test_a_dead_backend_is_unreachable() -> None:
    async with serve(Backend()) as url:
        pass
    async with WebhookClient(url, SECRET) as client:
        with pytest.raises(DeliveryError, match="Check that the backend runs") as caught:
            async with client.deliver(EVENT):
                pass
    assert caught.value.reason == "unreachable"


async def test_a_silent_backend_times_out() -> None:
    backend = Backend(sse("response.tts", "one"), 5.0)
    async with (
        serve(backend) as url,
        WebhookClient(url, SECRET, timeout=0.2) as client,
        client.deliver(EVENT) as answer,
    ):
        with pytest.raises(DeliveryError) as caught:
            _ = [frame async for frame in answer.frames()]
    assert caught.value.reason == "timeout"


async def test_a_stream_that_breaks_off() -> None:
    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        event = sse("response.tts", "half")
        writer.write(head + f"{len(event):x}\r\n".encode() + event + b"\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(drop, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with server, WebhookClient(url, SECRET) as client, client.deliver(EVENT) as answer:
        frames = answer.frames()
        assert (await anext(frames)).content == "half"
        with pytest.raises(DeliveryError) as caught:
            await anext(frames)
    assert caught.value.reason == "broken"


@pytest.mark.parametrize("body", [b"data: [DONE]\n\n", b"data: 3\n\n"])
async def test_a_stream_of_something_else_is_malformed(body: bytes) -> None:
    async with serve(Backend(body)) as url, WebhookClient(url, SECRET) as client, client.deliver(EVENT) as answer:
        with pytest.raises(DeliveryError) as caught:
            _ = [frame async for frame in answer.frames()]
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://", ""])
def test_a_wrong_url_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"must begin"):
        WebhookClient(url, SECRET)
