"""The faults: each a server that is right but for one thing, and in a docstring what the protocol says of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from .server import Event, RefusedError, Server

# --- signatures


class AcceptsUnsigned(Server):
    """A header that is missing is a 401."""

    def verify(self, header: bytes | None, body: bytes) -> None:
        if header is not None:
            super().verify(header, body)


class AcceptsAnySignature(Server):
    """A signature that does not fit the body is a 401."""

    def fits(self, expected: bytes, signatures: list[bytes]) -> bool:
        return True


class AcceptsStale(Server):
    """A time more than 300 s in the past is refused."""

    def check_time(self, stated: int) -> None:
        import time

        if stated - time.time() > 300:
            raise RefusedError(401, "from the future")


class AcceptsFuture(Server):
    """A time more than 300 s in the future is refused."""

    def check_time(self, stated: int) -> None:
        import time

        if time.time() - stated > 300:
            raise RefusedError(401, "stale")


class VerifiesReserialised(Server):
    """The signature is over the raw bytes."""

    def verify(self, header: bytes | None, body: bytes) -> None:
        with contextlib.suppress(ValueError):
            body = json.dumps(json.loads(body), separators=(",", ":")).encode()
        super().verify(header, body)


class ReadsFirstSignatureOnly(Server):
    """Several v1 parts are accepted, while a secret is rotated."""

    def fits(self, expected: bytes, signatures: list[bytes]) -> bool:
        return super().fits(expected, signatures[:1])


class ReadsLastSignatureOnly(Server):
    """Several v1 parts are accepted, in any order."""

    def fits(self, expected: bytes, signatures: list[bytes]) -> bool:
        return super().fits(expected, signatures[-1:])


class CrashesOnGarbageHeader(Server):
    """A header that is garbage is a 401, never a 500."""

    def verify(self, header: bytes | None, body: bytes) -> None:
        if header is not None and b"t=" not in header:
            raise RefusedError(500, "internal server error")
        super().verify(header, body)


class CrashesOnNonAsciiHeader(Server):
    """A header that is not ASCII is a 401, never a 500."""

    def verify(self, header: bytes | None, body: bytes) -> None:
        if header is not None and not header.isascii():
            raise RefusedError(500, "internal server error")
        super().verify(header, body)


class ParsesBeforeVerifying(Server):
    """A malformed body is a 400 only after the signature held."""

    def read(self, scope: Any, body: bytes) -> Event:
        self.parse(body)
        return super().read(scope, body)


# --- frames


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


# --- events


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


# --- turns


class RunsDuplicates(Server):
    """The same turn may arrive twice; it is one turn."""

    def frames(self, event: Event) -> list[Event]:
        self.done.clear()
        return super().frames(event)


class RefusesDuplicates(Server):
    """The same turn may arrive twice, and the second delivery may be the one that is heard."""

    async def turn(self, event: Event, receive: Any, send: Any) -> None:
        if (event["conversation_id"], event["turn_id"]) in self.done:
            raise RefusedError(409, "known")
        await super().turn(event, receive, send)


class Forgets(Server):
    """A conversation is one over its turns."""

    def reply(self, event: Event) -> str:
        if "first" in event.get("text", ""):
            return "I do not know what you mean."
        return super().reply(event)


class RemembersBySession(Server):
    """conversation_id is the key of history; session_id changes with every connection."""

    def key(self, event: Event) -> str:
        return str(event["session_id"])


class MixesConversations(Server):
    """What one caller said is not told to another."""

    def key(self, event: Event) -> str:
        return "everybody"


class ForgetsInterruptedTurns(Server):
    """The caller's words are in history before the first token is asked for."""

    async def speak(self, event: Event, send: Any) -> None:
        said = len(self.said[self.key(event)])
        try:
            await super().speak(event, send)
        except asyncio.CancelledError:
            del self.said[self.key(event)][said:]
            raise


class HangsAfterAnInterruption(Server):
    """An interruption closes the connection; the next turn is answered all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.locked: set[str] = set()

    async def speak(self, event: Event, send: Any) -> None:
        while self.key(event) in self.locked:
            await asyncio.sleep(0.05)
        self.locked.add(self.key(event))
        await super().speak(event, send)
        self.locked.discard(self.key(event))


class OneAtATime(Server):
    """Callers are answered at the same time."""

    pace = 0.15

    def __init__(self) -> None:
        super().__init__()
        self.lock = asyncio.Lock()

    async def speak(self, event: Event, send: Any) -> None:
        async with self.lock:
            await super().speak(event, send)


class SharesTheTurn(Server):
    """Every answer belongs to its own turn, however many run."""

    current = ""

    async def speak(self, event: Event, send: Any) -> None:
        type(self).current = event["turn_id"]
        await super().speak(event, send)

    def encode(self, frame: Event) -> bytes:
        return super().encode(frame | {"turn_id": self.current})


class SlowToSpeak(Server):
    """Under 800 ms feels natural; many seconds are dead air."""

    async def speak(self, event: Event, send: Any) -> None:
        await asyncio.sleep(2)
        await super().speak(event, send)


# --- bodies


class CrashesOnNoJson(Server):
    """A body that is not JSON is a 400, never a 500."""

    def parse(self, body: bytes) -> Event:
        try:
            json.loads(body)
        except UnicodeDecodeError:
            pass
        except ValueError:
            raise RefusedError(500, "internal server error") from None
        return super().parse(body)


class CrashesOnNoUtf8(Server):
    """A body that is not UTF-8 is a 400, never a 500."""

    def parse(self, body: bytes) -> Event:
        try:
            body.decode()
        except UnicodeDecodeError:
            raise RefusedError(500, "internal server error") from None
        return super().parse(body)


class CrashesOnAList(Server):
    """A body that is no object is a 400, never a 500."""

    def parse(self, body: bytes) -> Event:
        if body.startswith(b"["):
            raise RefusedError(500, "internal server error")
        return super().parse(body)


class AcceptsNothing(Server):
    """A body without type or ids is a 400."""

    def parse(self, body: bytes) -> Event:
        return super().parse(body) if body.strip() != b"{}" else {"type": "", "session_id": "", "conversation_id": ""}


class LeaksItsTraceback(Server):
    """A refusal gives a reason and no internals."""

    def parse(self, body: bytes) -> Event:
        try:
            return super().parse(body)
        except RefusedError as refused:
            raise RefusedError(
                refused.status, 'Traceback (most recent call last):\n  File "/srv/app.py", line 3'
            ) from None


FAULTS: list[type[Server]] = Server.__subclasses__()
