"""Webhook bytes are parsed into events of every type, strictly or leniently."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from layercode_app.exceptions import EventError
from layercode_app.webhook import (
    Data,
    Event,
    Message,
    SessionEnd,
    SessionStart,
    SessionUpdate,
    UnknownEvent,
    Welcome,
    parse_event,
)
from layercode_app.webhook.events import BaseEvent

IDS = {"session_id": "ses-1", "conversation_id": "conv-1"}
LEAST: dict[str, dict[str, Any]] = {
    "session.start": {},
    "welcome": {},
    "message": {"turn_id": "turn-1", "text": "Hello"},
    "data": {},
    "session.update": {},
    "session.end": {},
}
"""The fields that each event type requires, besides its ids."""
CLASSES: dict[str, type[BaseEvent]] = {
    "session.start": SessionStart,
    "welcome": Welcome,
    "message": Message,
    "data": Data,
    "session.update": SessionUpdate,
    "session.end": SessionEnd,
}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def body(kind: str, **fields: Any) -> bytes:
    return json.dumps({**IDS, **LEAST.get(kind, {}), **fields, "type": kind}).encode()


def parse(kind: str, **fields: Any) -> Event:
    return parse_event(body(kind, **fields))


@pytest.mark.parametrize("kind", CLASSES)
def test_each_type_with_the_least_it_may_carry(kind: str) -> None:
    event = parse(kind)
    assert type(event) is CLASSES[kind]
    assert (event.type, event.session_id, event.conversation_id) == (kind, "ses-1", "conv-1")
    assert event.metadata is event.custom_metadata is None
    assert event.from_phone_number is event.to_phone_number is None


@pytest.mark.parametrize("kind", CLASSES)
def test_common_fields_of_each_type(kind: str) -> None:
    event = parse(
        kind,
        metadata={"user": {"id": 7}},
        custom_metadata={"tier": "gold"},
        from_phone_number="+15550100",
        to_phone_number="+15550199",
    )
    assert event.metadata == {"user": {"id": 7}}
    assert event.custom_metadata == {"tier": "gold"}
    assert (event.from_phone_number, event.to_phone_number) == ("+15550100", "+15550199")


@pytest.mark.parametrize("kind", CLASSES)
def test_null_is_as_good_as_absent(kind: str) -> None:
    optional = set(CLASSES[kind].model_fields) - {"type", *IDS, *LEAST[kind]}
    assert parse(kind, **dict.fromkeys(optional)).model_dump() == parse(kind).model_dump()


@pytest.mark.parametrize("kind", ["session.start", "welcome"])
def test_both_readings_of_the_greeting(kind: str) -> None:
    asked, told = parse(kind, turn_id="turn-1"), parse(kind)
    assert isinstance(asked, SessionStart | Welcome)
    assert isinstance(told, SessionStart | Welcome)
    assert (asked.turn_id, told.turn_id) == ("turn-1", None)
    assert (parse(kind, text="").text, asked.text) == ("", None)  # type: ignore[union-attr]


def test_interruption_context() -> None:
    context = {
        "previous_turn_interrupted": True,
        "words_heard": 3,
        "text_heard": "It is sunny",
        "assistant_turn_id": "turn-0",
        "confidence": 0.9,
    }
    event = parse("message", interruption_context=context)
    assert isinstance(event, Message)
    assert event.interruption_context is not None
    assert event.interruption_context.model_dump() == context


def test_every_part_of_the_interruption_context_is_optional() -> None:
    event = parse("message", interruption_context={})
    assert isinstance(event, Message)
    assert event.interruption_context is not None
    assert set(event.interruption_context.model_dump().values()) == {None}


@given(json_values)
def test_data_is_any_json(value: Any) -> None:
    event = parse("data", data=value)
    assert isinstance(event, Data)
    assert event.data == value


def test_session_update() -> None:
    event = parse(
        "session.update", recording_status="completed", recording_url="https://x.example/a.wav", recording_duration=12.5
    )
    assert isinstance(event, SessionUpdate)
    assert (event.recording_status, event.recording_duration, event.error_message) == ("completed", 12.5, None)


MOMENT = datetime(2025, 11, 1, 12, 0, 0, 250_000, UTC)


@pytest.mark.parametrize(
    "stamp",
    [
        int(MOMENT.timestamp() * 1000),
        MOMENT.timestamp() * 1000,
        "2025-11-01T12:00:00.250Z",
        "2025-11-01T12:00:00.250+00:00",
        "2025-11-01T14:00:00.250+02:00",
    ],
)
def test_both_timestamp_forms_name_the_same_moment(stamp: Any) -> None:
    event = parse(
        "session.end", started_at=stamp, ended_at=stamp, transcript=[{"role": "user", "text": "Hi", "timestamp": stamp}]
    )
    assert isinstance(event, SessionEnd)
    assert event.started_at == event.ended_at == event.transcript[0].timestamp == MOMENT


def test_epoch_milliseconds_are_never_taken_for_seconds() -> None:
    event = parse("session.end", started_at=0, ended_at=86_400_000)
    assert isinstance(event, SessionEnd)
    assert (event.started_at, event.ended_at) == (datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize("stamp", ["soon", True, 1e300, -1e300, 10**400, [], {}])
def test_a_time_that_is_none_is_dropped(stamp: Any) -> None:
    event = parse("session.end", started_at=stamp)
    assert isinstance(event, SessionEnd)
    assert event.started_at is None


def test_session_end() -> None:
    event = parse(
        "session.end",
        agent_id="agent-1",
        duration=61_000,
        transcription_duration_seconds=20.5,
        tts_duration_seconds=30,
        latency=412.3,
        ip_address="192.0.2.1",
        country_code="GB",
        recording_status="enabled",
        transcript=[{"role": "assistant", "text": "Hello", "timestamp": None}, {"role": "user"}],
    )
    assert isinstance(event, SessionEnd)
    assert (event.duration, event.tts_duration_seconds, event.latency) == (61_000, 30, 412.3)
    assert [(entry.role, entry.text) for entry in event.transcript] == [("assistant", "Hello"), ("user", "")]


@pytest.mark.parametrize("kind", ["user.transcript.interim_delta", "session.resumed", "", "MESSAGE", "unknown"])
def test_unknown_types_are_events_too(kind: str) -> None:
    event = parse(kind, turn_id="turn-1", anything={"at": "all"})
    assert type(event) is UnknownEvent
    assert event.type == kind
    assert event.conversation_id == "conv-1"
    assert event.model_extra == {"turn_id": "turn-1", "anything": {"at": "all"}}


@given(st.dictionaries(st.sampled_from([*UnknownEvent.model_fields, "turn_id", "text", "x"]) | st.text(), json_values))
@pytest.mark.slow
def test_nothing_an_unknown_type_carries_is_refused(fields: dict[str, Any]) -> None:
    event = parse_event(json.dumps(fields | {"type": "brand.new"}).encode())
    assert type(event) is UnknownEvent
    assert isinstance(event.session_id, str)
    assert isinstance(event.conversation_id, str)


@given(
    kind=st.sampled_from(sorted(CLASSES)), extra=st.dictionaries(st.text().map(lambda name: f"x{name}"), json_values)
)
@pytest.mark.slow
def test_unknown_fields_are_kept(kind: str, extra: dict[str, Any]) -> None:
    assert parse(kind, **extra).model_extra == extra


@pytest.mark.parametrize(
    "name", ["model_config", "model_dump", "model_extra", "__class__", "__pydantic_extra__", "self"]
)
def test_unknown_fields_cannot_take_a_method_over(name: str) -> None:
    event = parse("message", **{name: "mine"})
    assert type(event) is Message
    assert event.model_dump()["text"] == "Hello"
    assert event.model_extra == {name: "mine"}


def test_events_are_read_only() -> None:
    event = parse("message")
    assert isinstance(event, Message)
    with pytest.raises(ValidationError, match="frozen"):
        event.text = "other"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not JSON"),
        (b" ", "not JSON"),
        (b"hello", "not JSON"),
        (b'{"type":"message"', "not JSON"),
        (b'{"type":"message"} x', "not JSON"),
        (b"{'type':'message'}", "not JSON"),
        (b"\xff\xfe", "not JSON in UTF-8"),
        (b'{"type":"mess\xe9"}', "not JSON in UTF-8"),
        (b'{"type":"\\ud83d", "x"}', "not JSON"),
        ('{"type":"data"}'.encode("utf-16"), "not JSON in UTF-8"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' * 100_000, "not JSON"),
        (b"null", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b'"message"', "not a JSON object"),
        (b"42", "not a JSON object"),
        (b"NaN", "not a JSON object"),
        (b"{}", "'type' is wrong: field required"),
        (b'{"type":null}', "'type'"),
        (b'{"type":["message"]}', "'type'"),
        (b'{"type":{}}', "'type'"),
    ],
)
def test_bodies_that_are_no_event(raw: bytes, reason: str) -> None:
    with pytest.raises(EventError, match=reason) as refusal:
        parse_event(raw)
    assert refusal.value.status == 400
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("kind", "fields", "named"),
    [
        ("message", {"turn_id": None}, "turn_id"),
        ("message", {"turn_id": ""}, "turn_id"),
        ("message", {"turn_id": 7}, "turn_id"),
        ("message", {"turn_id": "x" * 513}, "turn_id"),
        ("message", {"text": None}, "text"),
        ("message", {"text": ["Hello"]}, "text"),
        ("data", {"session_id": None}, "session_id"),
        ("data", {"conversation_id": ""}, "conversation_id"),
    ],
)
def test_the_wrong_field_is_named(kind: str, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(EventError, match=f"'{named}' is wrong"):
        parse(kind, **fields)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("name", IDS)
def test_ids_are_required(kind: str, name: str) -> None:
    fields = json.loads(body(kind))
    del fields[name]
    with pytest.raises(EventError, match=f"'{name}' is wrong: field required"):
        parse_event(json.dumps(fields).encode())


def test_a_refusal_does_not_repeat_what_the_caller_said() -> None:
    with pytest.raises(EventError) as refusal:
        parse("message", text=["my card is 4242"])
    assert "4242" not in str(refusal.value)


def _outcome(raw: bytes) -> Event | EventError:
    try:
        return parse_event(raw)
    except EventError as error:
        return error


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_give_an_event_or_an_event_error(raw: bytes) -> None:
    assert isinstance(_outcome(raw), EventError | UnknownEvent)


@given(
    kind=st.sampled_from(sorted(CLASSES)),
    fields=st.dictionaries(
        st.sampled_from(sorted({name for known in CLASSES.values() for name in known.model_fields})), json_values
    ),
)
def test_any_fields_give_an_event_or_an_event_error(kind: str, fields: dict[str, Any]) -> None:
    outcome = _outcome(body(**(fields | {"kind": kind})))
    assert isinstance(outcome, CLASSES[kind]) or "field" in str(outcome)
