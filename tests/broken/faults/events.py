"""Servers that are correct except for one fault in how they handle events.

The docstring of each class states the rule of the protocol that the server breaks.
"""

from __future__ import annotations

from typing import Any

from ..server import Event, RefusedError, Server


class RefusesSessionStart(Server):
    """Breaks this rule: a `session.start` event with a turn_id is answered with the greeting."""

    async def answer(self, event: Event, receive: Any, send: Any) -> None:
        if event["type"] == "session.start" and event.get("turn_id"):
            raise RefusedError(404, "what is that?")
        await super().answer(event, receive, send)


class RefusesWelcome(Server):
    """Breaks this rule: a `welcome` event is answered like a `session.start` event.

    In the platform's newer style, `welcome` asks for the greeting.
    """

    async def answer(self, event: Event, receive: Any, send: Any) -> None:
        if event["type"] == "welcome":
            raise RefusedError(400, "what is that?")
        await super().answer(event, receive, send)


class StreamsTheNewerSessionStart(Server):
    """Breaks this rule: a `session.start` event without a turn_id is acknowledged with JSON, not with a stream."""

    async def acknowledge(self, event: Event, send: Any) -> None:
        if event["type"] == "session.start":
            await self.speak(event | {"turn_id": "none"}, send)
        else:
            await super().acknowledge(event, send)


class StreamsData(Server):
    """Breaks this rule: a `data` event is answered with plain JSON, not with a stream."""

    async def data(self, event: Event, send: Any) -> None:
        await self.speak(event | {"turn_id": event.get("turn_id") or "none"}, send)


class RefusesDataThatIsNoObject(Server):
    """Breaks this rule: the field `data` of a `data` event may be any JSON value."""

    async def data(self, event: Event, send: Any) -> None:
        if not isinstance(event.get("data"), dict):
            raise RefusedError(422, "data is not an object")
        await super().data(event, send)


class CrashesOnSessionEnd(Server):
    """Breaks this rule: `session.end` is acknowledged, whether its timestamps are milliseconds or ISO text."""

    async def acknowledge(self, event: Event, send: Any) -> None:
        for entry in event.get("transcript") or ():
            if not isinstance(entry["timestamp"], str):
                raise RefusedError(500, "internal server error")
        await super().acknowledge(event, send)


class RefusesSessionUpdate(Server):
    """Breaks this rule: a `session.update` event is acknowledged."""

    async def acknowledge(self, event: Event, send: Any) -> None:
        if event["type"] == "session.update":
            raise RefusedError(400, "what is that?")
        await super().acknowledge(event, send)


class RefusesUnknownTypes(Server):
    """Breaks this rule: events of unknown types are accepted."""

    known = ("session.start", "welcome", "message", "data", "session.update", "session.end")

    async def acknowledge(self, event: Event, send: Any) -> None:
        if event["type"] not in self.known:
            raise RefusedError(400, "unknown type")
        await super().acknowledge(event, send)


class RefusesUnknownFields(Server):
    """Breaks this rule: events with unknown fields are accepted."""

    fields = frozenset(
        [
            "type",
            "session_id",
            "conversation_id",
            "turn_id",
            "text",
            "data",
            "metadata",
            "custom_metadata",
            "from_phone_number",
            "to_phone_number",
            "interruption_context",
            "recording_status",
            "recording_url",
            "recording_duration",
            "error_message",
            "agent_id",
            "started_at",
            "ended_at",
            "duration",
            "transcription_duration_seconds",
            "tts_duration_seconds",
            "latency",
            "ip_address",
            "country_code",
            "transcript",
        ]
    )

    def parse(self, body: bytes) -> Event:
        event = super().parse(body)
        if set(event) - self.fields:
            raise RefusedError(422, "extra fields are not permitted")
        return event


class NeedsMetadata(Server):
    """Breaks this rule: the metadata and the phone numbers of a message are optional."""

    def parse(self, body: bytes) -> Event:
        event = super().parse(body)
        if event["type"] == "message" and "metadata" not in event:
            raise RefusedError(422, "metadata is required")
        return event


class NeedsWholeInterruptionContext(Server):
    """Breaks this rule: every field of `interruption_context` is optional."""

    def parse(self, body: bytes) -> Event:
        event = super().parse(body)
        if (context := event.get("interruption_context")) is not None and "words_heard" not in context:
            raise RefusedError(500, "internal server error")
        return event


class RefusesLongText(Server):
    """Breaks this rule: the text of a message may be long."""

    def parse(self, body: bytes) -> Event:
        if len(body) > 10_000:
            raise RefusedError(413, "too long")
        return super().parse(body)


class RefusesBlankText(Server):
    """Breaks this rule: the text of a message may be blank."""

    def parse(self, body: bytes) -> Event:
        event = super().parse(body)
        if event["type"] == "message" and not event["text"].strip():
            raise RefusedError(400, "say something")
        return event
