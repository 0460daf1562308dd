"""Servers that are right but for one fault of events; in its docstring, what the protocol says of it."""

from __future__ import annotations

from typing import Any

from ..server import Event, RefusedError, Server


class RefusesSessionStart(Server):
    """session.start with a turn_id is answered with the greeting."""

    async def answer(self, event: Event, receive: Any, send: Any) -> None:
        if event["type"] == "session.start" and event.get("turn_id"):
            raise RefusedError(404, "what is that?")
        await super().answer(event, receive, send)


class RefusesWelcome(Server):
    """welcome is the newer name of session.start."""

    async def answer(self, event: Event, receive: Any, send: Any) -> None:
        if event["type"] == "welcome":
            raise RefusedError(400, "what is that?")
        await super().answer(event, receive, send)


class StreamsTheNewerSessionStart(Server):
    """session.start without a turn_id is acknowledged with JSON."""

    async def acknowledge(self, event: Event, send: Any) -> None:
        if event["type"] == "session.start":
            await self.speak(event | {"turn_id": "none"}, send)
        else:
            await super().acknowledge(event, send)


class StreamsData(Server):
    """data is answered with plain JSON."""

    async def data(self, event: Event, send: Any) -> None:
        await self.speak(event | {"turn_id": event.get("turn_id") or "none"}, send)


class RefusesDataThatIsNoObject(Server):
    """data may be any JSON."""

    async def data(self, event: Event, send: Any) -> None:
        if not isinstance(event.get("data"), dict):
            raise RefusedError(422, "data is not an object")
        await super().data(event, send)


class CrashesOnSessionEnd(Server):
    """session.end is acknowledged, with timestamps in both styles."""

    async def acknowledge(self, event: Event, send: Any) -> None:
        for entry in event.get("transcript") or ():
            if not isinstance(entry["timestamp"], str):
                raise RefusedError(500, "internal server error")
        await super().acknowledge(event, send)


class RefusesSessionUpdate(Server):
    """session.update is acknowledged."""

    async def acknowledge(self, event: Event, send: Any) -> None:
        if event["type"] == "session.update":
            raise RefusedError(400, "what is that?")
        await super().acknowledge(event, send)


class RefusesUnknownTypes(Server):
    """Unknown types are accepted."""

    known = ("session.start", "welcome", "message", "data", "session.update", "session.end")

    async def acknowledge(self, event: Event, send: Any) -> None:
        if event["type"] not in self.known:
            raise RefusedError(400, "unknown type")
        await super().acknowledge(event, send)


class RefusesUnknownFields(Server):
    """Unknown fields are accepted."""

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
    """metadata and the phone numbers are optional."""

    def parse(self, body: bytes) -> Event:
        event = super().parse(body)
        if event["type"] == "message" and "metadata" not in event:
            raise RefusedError(422, "metadata is required")
        return event


class NeedsWholeInterruptionContext(Server):
    """Every field of interruption_context is optional."""

    def parse(self, body: bytes) -> Event:
        event = super().parse(body)
        if (context := event.get("interruption_context")) is not None and "words_heard" not in context:
            raise RefusedError(500, "internal server error")
        return event


class RefusesLongText(Server):
    """What a caller says may be long."""

    def parse(self, body: bytes) -> Event:
        if len(body) > 10_000:
            raise RefusedError(413, "too long")
        return super().parse(body)


class RefusesBlankText(Server):
    """What a caller says may be blank."""

    def parse(self, body: bytes) -> Event:
        event = super().parse(body)
        if event["type"] == "message" and not event["text"].strip():
            raise RefusedError(400, "say something")
        return event
