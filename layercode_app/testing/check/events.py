"""Check every event type, in both protocol styles, with fields present, missing, unknown or null."""

from __future__ import annotations

from typing import Any

from .limits import FailedError
from .model import check
from .probe import Exchange, Probe

GROUP = "events"
UNKNOWN = "the platform may add types and fields at any time, and then every call would fail"
NOW_MS, NOW_ISO = 1_767_268_800_000, "2026-01-01T12:00:00.000Z"


def _labelled(what: str, exchange: Exchange) -> Exchange:
    """Return the exchange if it is a whole turn. Otherwise raise FailedError with a message that begins with `what`."""
    try:
        return exchange.needs_whole_turn()
    except FailedError as error:
        raise FailedError(f"{what}: {error}") from None


@check(
    "events.session-start",
    "session.start with a turn_id is answered with a greeting",
    why="otherwise the call begins with silence or an error",
    fix="Answer the event as a turn: a stream that ends with response.end, even if nothing is said.",
)
async def session_start(probe: Probe) -> None:
    """Send `session.start` with a turn id, as in the older style."""
    (await probe.talk().send("session.start")).needs_whole_turn()


@check(
    "events.welcome",
    "welcome is answered like session.start",
    why="welcome is the newer name of the same event",
    fix="Handle both types alike.",
    severity="warning",
)
async def welcome(probe: Probe) -> None:
    """Send `welcome`, the request for a greeting in the newer style."""
    (await probe.talk().send("welcome")).needs_whole_turn()


@check(
    "events.session-start-newer",
    "session.start without a turn_id is acknowledged with JSON",
    why="without a turn_id the event is only a notice, and a greeting in the answer is never spoken",
    fix="Without a turn_id, answer 200 and JSON.",
    severity="warning",
)
async def session_start_newer(probe: Probe) -> None:
    """Send `session.start` without a turn id."""
    (await probe.talk().send("session.start", turn_id=...)).needs_json()


@check(
    "events.data",
    "data of any JSON type is answered with plain JSON",
    why="the answer goes to the caller's page unchanged and must not be spoken",
    fix="Answer 200 and JSON, never a stream. Accept any JSON value in `data`.",
)
async def data(probe: Probe) -> None:
    """Send five `data` events: an object, a list, a text, a number and null. Then send one without a turn id."""
    talk = probe.talk()
    for content in ({"clicked": 1}, [1], "text", 2.5, None):
        try:
            (await talk.send("data", data=content)).needs_json()
        except FailedError as error:
            raise FailedError(f"for data {content!r}: {error}") from None
    (await talk.send("data", data={"clicked": 2}, turn_id=...)).needs_json()


@check(
    "events.session-update",
    "session.update is acknowledged",
    why="otherwise the platform delivers it again, and recordings may be lost",
    fix="Answer 200 and JSON, both for a finished recording and for a failed one.",
)
async def session_update(probe: Probe) -> None:
    """Send a `session.update` about a finished recording, and one about a failed recording."""
    talk = probe.talk()
    ready = {"recording_status": "completed", "recording_url": "https://recordings.example/1.wav"}
    (await talk.send("session.update", **ready, recording_duration=61.5)).needs_json()
    (await talk.send("session.update", recording_status="failed", error_message="no audio")).needs_json()


@check(
    "events.session-end",
    "session.end is acknowledged",
    why="otherwise your agent's work after the call may not run",
    fix="Answer 200 and JSON. Accept timestamps as milliseconds or ISO text, and missing fields.",
)
async def session_end(probe: Probe) -> None:
    """Send `session.end` with timestamps as text, with timestamps as milliseconds, and without optional fields."""
    for stamp in (NOW_ISO, NOW_MS):
        transcript = [{"role": role, "text": "Hello", "timestamp": stamp} for role in ("user", "assistant")]
        whole: dict[str, Any] = {
            "agent_id": "agent-1", "started_at": stamp, "ended_at": stamp, "duration": 61_000, "latency": 512.5,
            "transcription_duration_seconds": 12.5, "tts_duration_seconds": 20, "ip_address": "192.0.2.1",
            "country_code": "NO", "recording_status": "enabled", "transcript": transcript,
        }  # fmt: skip
        (await probe.talk().send("session.end", **whole)).needs_json()
    (await probe.talk().send("session.end")).needs_json()


@check(
    "events.unknown-types",
    "events of unknown types are acknowledged",
    why=UNKNOWN,
    fix="Answer 200 to unknown types.",
)
async def unknown_types(probe: Probe) -> None:
    """Send an event type that the platform sends only to browsers, and an invented type."""
    talk = probe.talk()
    for kind in ("user.transcript.interim_delta", "of.tomorrow"):
        exchange = await talk.send(kind, content="Hel", delta_counter=1)
        if exchange.error or not 200 <= exchange.status < 300:
            raise FailedError(f"for {kind}: expected 200, got {exchange.summary}")


@check("events.unknown-fields", "unknown fields are accepted", why=UNKNOWN, fix="Ignore unknown fields.")
async def unknown_fields(probe: Probe) -> None:
    """Send unknown fields at the top level and in nested objects."""
    context = {"previous_turn_interrupted": True, "seconds_heard": 1.5}
    exchange = await probe.talk().say("Hello", mood="curious", nested={"deep": [1]}, interruption_context=context)
    exchange.needs_whole_turn()


@check(
    "events.optional-fields",
    "optional fields may be present, missing or null",
    why="calls by phone and by browser have different fields",
    fix="Treat metadata, custom_metadata, phone numbers and interruption_context as optional.",
)
async def optional_fields(probe: Probe) -> None:
    """Send a message of a phone call with metadata, one without optional fields, and one with nulls."""
    phone = {"from_phone_number": "+15550100", "to_phone_number": "+15550101"}
    _labelled(
        "with optional fields", await probe.talk().say("Hello", **phone, metadata={"a": 1}, custom_metadata={"b": [2]})
    )
    _labelled("without optional fields", await probe.talk().say("Hello"))
    _labelled("with null fields", await probe.talk().say("Hello", metadata=None, interruption_context=None))


@check(
    "events.interruption-context",
    "interruption_context may be complete, partial or empty",
    why="otherwise the turn after an interruption fails",
    fix="Treat every field of interruption_context as optional.",
)
async def interruption_context(probe: Probe) -> None:
    """After one turn, send messages whose `interruption_context` is complete, partial or empty."""
    talk = probe.talk()
    (await talk.say("Hello")).needs_whole_turn()
    heard = {"previous_turn_interrupted": True, "assistant_turn_id": talk.turn_id}
    whole = heard | {"words_heard": 2, "text_heard": "Hello there"}
    for context in (whole, heard, {"previous_turn_interrupted": False}, {}):
        _labelled(f"with {context}", await talk.say("Go on", interruption_context=context))


@check(
    "events.long-text",
    "a long message is answered",
    why="callers tell long stories, and web pages send long texts",
    fix="Accept bodies of at least 100 kB.",
)
async def long_text(probe: Probe) -> None:
    """Send a message of about 20,000 characters. The check passes if the answer begins; it is not read to the end."""
    event = probe.talk().event("message", text="And then she said hello to me. " * 650)
    (await probe.abort(event, after_frames=1)).needs_stream()


@check(
    "events.blank-text",
    "a message without words is answered",
    why="speech recognition sometimes finds no words, and the call must continue",
    fix="Answer the message as a turn; silence is a valid reply.",
)
async def blank_text(probe: Probe) -> None:
    """Send an empty text, then only white space. Silence is a valid answer."""
    for text in ("", "  "):
        exchange = await probe.talk().say(text)
        if exchange.error or exchange.status != 200 or "response.end" not in [frame.type for frame in exchange.frames]:
            raise FailedError(f"for {text!r}: expected 200 and response.end, got {exchange.summary}")
