"""Servers that are correct except for one fault in the frames that they send.

The docstring of each class states the rule of the protocol that the server breaks.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ..server import Event, Server


class WrongContentType(Server):
    """Breaks this rule: the answer to a turn has the content type `text/event-stream`."""

    content_type = "text/plain"


class Buffers(Server):
    """Breaks this rule: each piece of speech is sent as soon as it exists, before the whole reply is complete."""

    pace = 0.0

    async def speak(self, event: Event, send: Any) -> None:
        await asyncio.sleep(0.4)
        headers = [(b"content-type", self.content_type.encode()), *self.stream_headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        body = b"".join(map(self.encode, self.frames(event)))
        await send({"type": "http.response.body", "body": body})


class LetsProxiesBuffer(Server):
    """Breaks this rule: the answer has headers that keep proxies from buffering it."""

    stream_headers = ()


class ForgetsTurnId(Server):
    """Breaks this rule: every event, also `response.end`, carries the turn_id of the request."""

    def encode(self, frame: Event) -> bytes:
        if frame["type"] == "response.end":
            frame = {"type": "response.end"}
        return super().encode(frame)


class InventsTurnId(Server):
    """Breaks this rule: no event carries a turn_id other than that of the request."""

    def encode(self, frame: Event) -> bytes:
        return super().encode(frame | {"turn_id": "turn-of-mine"})


class NeverEnds(Server):
    """Breaks this rule: the answer to a turn contains `response.end`."""

    def ending(self, event: Event) -> list[Event]:
        return []


class EndsTwice(Server):
    """Breaks this rule: `response.end` is sent exactly once."""

    def ending(self, event: Event) -> list[Event]:
        return [{"type": "response.end"}, {"type": "response.end"}]


class SpeaksAfterTheEnd(Server):
    """Breaks this rule: `response.end` is the last event of an answer."""

    def ending(self, event: Event) -> list[Event]:
        return [{"type": "response.end"}, {"type": "response.tts", "content": "One more thing."}]


class PrettyPrints(Server):
    """Breaks this rule: each event is sent as a single line."""

    def encode(self, frame: Event) -> bytes:
        return b"data: " + json.dumps(frame, indent=1).encode() + b"\n\n"


class ForgetsThePrefix(Server):
    """Breaks this rule: each event begins with `data: `."""

    def encode(self, frame: Event) -> bytes:
        return super().encode(frame).removeprefix(b"data: ")


class ForgetsTheBlankLine(Server):
    """Breaks this rule: a blank line follows each event."""

    def encode(self, frame: Event) -> bytes:
        return super().encode(frame)[:-1]


class ManglesUnicode(Server):
    """Breaks this rule: text is UTF-8, both in requests and in answers."""

    def parse(self, body: bytes) -> Event:
        event = super().parse(body)
        if isinstance(text := event.get("text"), str):
            event["text"] = text.encode().decode("latin-1")
        return event


class SpeaksObjects(Server):
    """Breaks this rule: the content of `response.tts` is text."""

    def encode(self, frame: Event) -> bytes:
        return super().encode(frame | {"content": {"text": frame.get("content")}})
