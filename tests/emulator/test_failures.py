"""Each failed webhook is one log line with the event, the status, the response, and the fix."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from layercode_app.emulator import failures
from layercode_app.emulator.app import create_emulator
from layercode_app.emulator.speech import Silence
from layercode_app.stream.frames import HEADERS

from ..serving import serve
from .backend import SECRET, Backend
from .platform import READY, Client, Platform

pytestmark = pytest.mark.anyio

Answer = Callable[[dict[str, Any], Any], Awaitable[None]]
TYPED = [(b"content-type", b"application/json")]


def plain(status: int, body: bytes, kind: bytes = b"application/json") -> Answer:
    async def answer(event: dict[str, Any], send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body})

    return answer


def stream(*lines: bytes, then: Callable[[], Awaitable[object]] | None = None) -> Answer:
    async def answer(event: dict[str, Any], send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        for line in lines:
            await send({"type": "http.response.body", "body": b"data: " + line + b"\n\n", "more_body": True})
        if then is not None:
            await then()
        await send({"type": "http.response.body", "body": b""})

    return answer


async def never(event: dict[str, Any], send: Any) -> None:
    await asyncio.sleep(5)


async def slow_body(event: dict[str, Any], send: Any) -> None:
    await send({"type": "http.response.start", "status": 500, "headers": TYPED})
    await send({"type": "http.response.body", "body": b'{"reply":', "more_body": True})
    await asyncio.sleep(5)


class Odd(Backend):
    """A backend that answers `message` events as a test wants, and all other events correctly."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._odd = answer

    async def _answer(self, event: dict[str, Any], receive: Any, send: Any) -> None:
        if event["type"] == "message":
            await self._odd(event, send)
        else:
            await super()._answer(event, receive, send)


@asynccontextmanager
async def call(webhook: str, *, secret: str = SECRET) -> AsyncIterator[tuple[Client, list[str]]]:
    """Yield a client of an emulator, and the lines that the emulator's console shows."""
    lines: list[str] = []
    app = create_emulator(webhook, secret, voice=Silence(pace=100), notices=lines.append)
    async with (
        serve(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as http,
        Platform(url, app.state.emulator, Backend(), http).client() as client,
    ):
        await client.send(READY)
        await client.until("response.end")
        yield client, lines


async def said(answer: Answer) -> str:
    """Return the only line that the emulator's console shows if the backend answers a `message` event with `answer`."""
    async with serve(Odd(answer)) as webhook, call(f"{webhook}/hook") as (client, lines):
        await client.say("hello")
        async with asyncio.timeout(100):
            while not lines:
                await asyncio.sleep(0.005)
        (line,) = lines
    assert line.isprintable()
    return line


END = json.dumps({"type": "response.end", "turn_id": "t"}).encode()


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        (plain(422, b'{"detail": "text: field required"}'), ["answered 422", "field required", "the field that it rejects"]),
        (plain(500, b"Internal Server Error", b"text/plain"), ["answered 500", "Internal", "See the backend's log"]),
        (plain(404, b""), ["answered 404", "an empty body", "--webhook"]),
        (plain(307, b""), ["answered 307", "Redirects are not followed"]),
        (plain(418, b"\x1b]52;c;cHduZWQ=\x07\xe2\x80\xae\n\xff"), ["answered 418", r"\x1b]52", r"\u202e", r"\n"]),
        (plain(500, b"x" * 100_000), ["answered 500", "xxx'…"]),
        (plain(200, b'{"reply": "hi"}'), ["200 with content-type 'application/json'", "nothing is spoken", '"hi"']),
        (stream(b"{nonsense"), ["not JSON", "Send each event of a stream as one line"]),
        (stream(b'{"type": "response.tts", "content": "Hi"}'), ["ended without response.end"]),
    ],
)  # fmt: skip
async def test_a_failed_message_is_one_line(answer: Answer, parts: list[str]) -> None:
    line = await said(answer)
    assert line.startswith("Webhook message: ")
    assert [part for part in parts if part not in line] == [], line
    assert len(line) < 600


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (never, "no answer for 0.5 s"),
        (
            stream(b'{"type": "response.tts", "content": "Hi"}', then=lambda: asyncio.sleep(5)),
            "has sent no event for",
        ),
        (slow_body, "the body of the answer is not complete after 0.5 s"),
        (stream(END, then=lambda: asyncio.sleep(5)), "End each answer with response.end, then close it"),
    ],
)
async def test_a_backend_that_hangs_is_told_while_it_hangs(
    answer: Answer, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "QUIET_SECONDS", 0.5)
    assert part in await said(answer)


async def test_another_secret_is_told_with_the_setting() -> None:
    async with serve(Backend()) as webhook, call(f"{webhook}/hook", secret="another-secret") as (_, lines):
        assert lines[0].startswith("Webhook session.start: the backend answered 401: ")
        assert "LAYERCODE_WEBHOOK_SECRET to --secret" in lines[0]


async def test_no_backend_is_told() -> None:
    async with call("http://127.0.0.1:1/hook") as (_, lines):
        assert "nothing answers at http://127.0.0.1:1/hook" in lines[0]
        assert "Check that the backend runs" in lines[0]


async def test_a_refused_acknowledgement_is_told_too() -> None:
    class Refusing(Backend):
        async def _answer(self, event: dict[str, Any], receive: Any, send: Any) -> None:
            if event["type"] == "session.end":
                await plain(501, b"no")(event, send)
            else:
                await super()._answer(event, receive, send)

    async with serve(Refusing()) as webhook, call(f"{webhook}/hook") as (_, lines):
        pass
    assert [line[:46] for line in lines] == ["Webhook session.end: the backend answered 501:"]


async def test_what_goes_well_and_what_is_interrupted_is_not_told() -> None:
    async with serve(Backend()) as webhook, call(f"{webhook}/hook") as (client, lines):
        await client.say("long")
        await client.until("response.audio")
        await client.say("hello")
        await client.until("response.end")
        await client.send({"type": "client.response.data", "data": 1})
        await client.until("response.data")
    assert lines == []
