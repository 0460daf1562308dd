"""Servers that are right but for one fault of frames; in its docstring, what the protocol says of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ..server import Event, Server


class WrongContentType(Server):
    """The answer is text/event-stream."""

    content_type = "text/plain"


class Buffers(Server):
    """Speech is sent as it comes, not when it is whole."""

    pace = 0.0

    async def speak(self, event: Event, send: Any) -> None:
        await asyncio.sleep(0.4)
        headers = [(b"content-type", self.content_type.encode()), *self.stream_headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        body = b"".join(map(self.encode, self.frames(event)))
        await send({"type": "http.response.body", "body": body})


class LetsProxiesBuffer(Server):
    """Headers keep proxies from buffering."""

    stream_headers = ()


class ForgetsTurnId(Server):
    """Every event carries the turn_id of the request."""

    def encode(self, frame: Event) -> bytes:
        if frame["type"] == "response.end":
            frame = {"type": "response.end"}
        return super().encode(frame)


class InventsTurnId(Server):
    """Every event carries the turn_id of the request, no other."""

    def encode(self, frame: Event) -> bytes:
        return super().encode(frame | {"turn_id": "turn-of-mine"})


class NeverEnds(Server):
    """response.end is sent."""

    def ending(self, event: Event) -> list[Event]:
        return []


class EndsTwice(Server):
    """response.end is sent exactly once."""

    def ending(self, event: Event) -> list[Event]:
        return [{"type": "response.end"}, {"type": "response.end"}]


class SpeaksAfterTheEnd(Server):
    """response.end is last."""

    def ending(self, event: Event) -> list[Event]:
        return [{"type": "response.end"}, {"type": "response.tts", "content": "One more thing."}]


class PrettyPrints(Server):
    """Each event is one line."""

    def encode(self, frame: Event) -> bytes:
        return b"data: " + json.dumps(frame, indent=1).encode() + b"\n\n"


class ForgetsThePrefix(Server):
    """Each event begins with `data: `."""

    def encode(self, frame: Event) -> bytes:
        return super().encode(frame).removeprefix(b"data: ")


class ForgetsTheBlankLine(Server):
    """A blank line follows each event."""

    def encode(self, frame: Event) -> bytes:
        return super().encode(frame)[:-1]


class ManglesUnicode(Server):
    """Text is UTF-8 both ways."""

    def parse(self, body: bytes) -> Event:
        event = super().parse(body)
        if isinstance(text := event.get("text"), str):
            event["text"] = text.encode().decode("latin-1")
        return event


class SpeaksObjects(Server):
    """The content of response.tts is text."""

    def encode(self, frame: Event) -> bytes:
        return super().encode(frame | {"content": {"text": frame.get("content")}})
