"""A tiny backend: verifies each webhook, chooses the answer by the caller's words, and keeps the events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.types import Receive, Scope, Send

from layercode_app.exceptions import SignatureError
from layercode_app.stream.frames import HEADERS
from layercode_app.webhook import HEADER, verify

SECRET = "test-emulator-secret"
LONG = "One two three four five six seven eight nine ten. "


class Backend:
    """A backend that echoes a `message`. These texts change the answer: long, fail, silent, cut, bye, shop, odd."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.refused: list[str] = []
        self.closed: list[str] = []
        """The turns whose connection was closed before they ended."""

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a type, in the order in which they came."""
        return [event for event in self.events if event["type"] == kind]

    async def until(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait until `count` events of a type have come. Return event number `count` of this type, counted from 1."""
        async with asyncio.timeout(100):
            while len(self.of(kind)) < count:
                await asyncio.sleep(0.01)
        return self.of(kind)[count - 1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _body(receive)
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        try:
            verify(headers.get(HEADER), body, [SECRET])
        except SignatureError as error:
            self.refused.append(str(error))
            await _plain(send, 401, {"error": str(error)})
            return
        event = json.loads(body)
        self.events.append(event)
        self.headers.append(headers)
        await self._answer(event, receive, send)

    async def _answer(self, event: dict[str, Any], receive: Receive, send: Send) -> None:
        if event["type"] == "data":
            await _plain(send, 200, {"got": event["data"]})
        elif "turn_id" not in event:
            await _plain(send, 200, {"ok": True})
        elif event.get("text") == "fail":
            await _plain(send, 500, {"error": "no"})
        else:
            await self._stream_while_connected(event, receive, send)

    async def _stream_while_connected(self, event: dict[str, Any], receive: Receive, send: Send) -> None:
        streaming = asyncio.create_task(self._stream(event, send))
        leaving = asyncio.create_task(_gone(receive))
        await asyncio.wait([streaming, leaving], return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not streaming.done():
            self.closed.append(event["turn_id"])
            streaming.cancel()
        await asyncio.wait([streaming])

    async def _stream(self, event: dict[str, Any], send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        text = event.get("text", "")

        async def say(kind: str, **fields: Any) -> None:
            data = json.dumps({"type": kind, **fields, "turn_id": event["turn_id"]}).encode()
            await send({"type": "http.response.body", "body": b"data: " + data + b"\n\n", "more_body": True})

        if event["type"] != "message":
            await say("response.tts", content="Welcome!")
        elif text == "long":
            for _ in range(200):
                await say("response.tts", content=LONG)
                await asyncio.sleep(0.05)
        elif text == "shop":
            await say("response.data", content={"basket": {"bun": 2}})
            await say("response.tts", content="Two buns.")
        elif text == "odd":
            await say("response.data", content={"mean": float("nan"), "most": float("inf")})
        elif text != "silent":
            await say("response.tts", content="You said ")
            await say("response.tts", content=f"{text}.")
        if text == "bye":
            await say("response.hangup")
        if text != "cut":
            await say("response.end")
        await send({"type": "http.response.body", "body": b""})


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _plain(send: Send, status: int, content: Any) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})
