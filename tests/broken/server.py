"""A complete and correct webhook in plain ASGI, without code of the toolkit.

Its methods are small, so that a subclass can replace one of them by a faulty one.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections import defaultdict
from typing import Any

SECRET = "test-broken"
Event = dict[str, Any]


class RefusedError(Exception):
    """Makes the server answer the request with a status other than 200."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Server:
    """Greets the caller, and answers each message with its number and its text. Each frame has one word.

    If a message contains "first", the answer is the first message of the conversation instead.
    """

    pace = 0.004
    content_type = "text/event-stream; charset=utf-8"
    stream_headers: tuple[tuple[bytes, bytes], ...] = (
        (b"cache-control", b"no-cache, no-transform"),
        (b"x-accel-buffering", b"no"),
    )

    def __init__(self) -> None:
        self.said: dict[str, list[str]] = defaultdict(list)
        self.done: dict[tuple[str, str], list[Event]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        try:
            body = await self.body(receive)
            event = self.read(scope, body)
            await self.answer(event, receive, send)
        except RefusedError as refused:
            await self.json(send, {"error": str(refused)}, refused.status)

    async def body(self, receive: Any) -> bytes:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return body

    # --- signature

    def read(self, scope: Any, body: bytes) -> Event:
        header = next((value for name, value in scope["headers"] if name == b"layercode-signature"), None)
        self.verify(header, body)
        return self.parse(body)

    def verify(self, header: bytes | None, body: bytes) -> None:
        if header is None:
            raise RefusedError(401, "signature missing")
        parts = [part.strip().partition(b"=")[::2] for part in header.split(b",")]
        stated = next((value for name, value in parts if name == b"t"), b"")
        if not stated.isdigit() or len(stated) > 15:
            raise RefusedError(401, "no time")
        self.check_time(int(stated))
        signatures = [value for name, value in parts if name == b"v1"]
        expected = self.digest(stated, body)
        if not self.fits(expected, signatures):
            raise RefusedError(401, "wrong signature")

    def check_time(self, stated: int) -> None:
        if abs(time.time() - stated) > 300:
            raise RefusedError(401, "stale")

    def digest(self, stated: bytes, body: bytes) -> bytes:
        return hmac.new(SECRET.encode(), stated + b"." + body, hashlib.sha256).hexdigest().encode()

    def fits(self, expected: bytes, signatures: list[bytes]) -> bool:
        return any(hmac.compare_digest(expected, signature) for signature in signatures)

    # --- events

    def parse(self, body: bytes) -> Event:
        try:
            event = json.loads(body)
        except ValueError:
            raise RefusedError(400, "not JSON") from None
        needed = ("type", "session_id", "conversation_id")
        if not isinstance(event, dict) or not all(isinstance(event.get(name), str) for name in needed):
            raise RefusedError(400, "not an event")
        if event["type"] == "message" and not (
            isinstance(event.get("text"), str) and isinstance(event.get("turn_id"), str)
        ):
            raise RefusedError(400, "not a message")
        return event

    async def answer(self, event: Event, receive: Any, send: Any) -> None:
        if event["type"] == "data":
            await self.data(event, send)
        elif event["type"] in ("session.start", "welcome", "message") and event.get("turn_id"):
            await self.turn(event, receive, send)
        else:
            await self.acknowledge(event, send)

    async def data(self, event: Event, send: Any) -> None:
        await self.json(send, {"got": event.get("data")})

    async def acknowledge(self, event: Event, send: Any) -> None:
        await self.json(send, {"ok": True})

    async def json(self, send: Any, value: Any, status: int = 200) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(value).encode()})

    # --- turns

    def key(self, event: Event) -> str:
        return str(event["conversation_id"])

    def reply(self, event: Event) -> str:
        if event["type"] != "message":
            return "Hello! I am here."
        said = self.said[self.key(event)]
        said.append(event["text"])
        if "first" in event["text"]:
            return f"You first said: {said[0]}"
        return f"Number {len(said)}: {event['text'][:200]}"

    def frames(self, event: Event) -> list[Event]:
        known = self.done.get((event["conversation_id"], event["turn_id"]))
        if known is not None:
            return known
        words = self.reply(event).split(" ")
        frames: list[Event] = [{"type": "response.tts", "content": f"{word} "} for word in words]
        frames += self.ending(event)
        for frame in frames:
            frame.setdefault("turn_id", event["turn_id"])
        self.done[event["conversation_id"], event["turn_id"]] = frames
        return frames

    def ending(self, event: Event) -> list[Event]:
        return [{"type": "response.end"}]

    async def turn(self, event: Event, receive: Any, send: Any) -> None:
        speaking = asyncio.ensure_future(self.speak(event, send))
        leaving = asyncio.ensure_future(self.gone(receive))
        await asyncio.wait({speaking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        speaking.cancel()
        await asyncio.wait({speaking, leaving})

    async def gone(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def speak(self, event: Event, send: Any) -> None:
        headers = [(b"content-type", self.content_type.encode()), *self.stream_headers]
        frames = self.frames(event)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for frame in frames:
            await send({"type": "http.response.body", "body": self.encode(frame), "more_body": True})
            await asyncio.sleep(self.pace)
        await send({"type": "http.response.body", "body": b""})

    def encode(self, frame: Event) -> bytes:
        return b"data: " + json.dumps(frame, ensure_ascii=False).encode() + b"\n\n"
