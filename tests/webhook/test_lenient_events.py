"""An invalid optional field is dropped from an event, and one log line names it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from layercode_app.exceptions import EventError
from layercode_app.webhook import SessionEnd, UnknownEvent, parse_event

from .test_events import CLASSES, IDS, LEAST, parse

SECRET = "4242-secret"
WRONG: list[Any] = [SECRET, [SECRET], {"x": SECRET}, 2.5, True, 10**400, -1, "", [], [[SECRET]], {SECRET: []}]


@pytest.fixture
def lines() -> Iterator[list[str]]:
    written: list[str] = []
    sink = logger.add(lambda message: written.append(str(message)), format="{message}", level="INFO")
    yield written
    logger.remove(sink)


def _optional(kind: str) -> list[str]:
    required = {"type", *IDS, *LEAST.get(kind, {})}
    return [name for name in CLASSES[kind].model_fields if name not in required]


EVERY = [(kind, name) for kind in CLASSES for name in _optional(kind)]


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_no_value_of_an_optional_field_costs_the_event(kind: str, name: str, lines: list[str]) -> None:
    absent = parse(kind)
    for value in WRONG:
        lines.clear()
        event = parse(kind, **{name: value})
        assert type(event) is CLASSES[kind]
        if lines:
            assert event == absent or name == "transcript" or name == "interruption_context"
            assert len(lines) == 1
            assert name in lines[0]
        assert SECRET not in "".join(lines)
        json.dumps(event.model_dump(mode="json"), allow_nan=False)


@pytest.mark.parametrize(
    ("kind", "fields", "named"),
    [
        ("message", {"interruption_context": "none"}, "interruption_context"),
        (
            "message",
            {"interruption_context": {"words_heard": 2.5, "text_heard": "a"}},
            "interruption_context.words_heard",
        ),
        ("message", {"interruption_context": {"text_heard": 5}}, "interruption_context.text_heard"),
        ("message", {"from_phone_number": 15550100}, "from_phone_number"),
        ("message", {"metadata": '{"user": 7}'}, "metadata"),
        ("session.start", {"custom_metadata": []}, "custom_metadata"),
        ("session.start", {"turn_id": ""}, "turn_id"),
        ("session.update", {"recording_duration": "long"}, "recording_duration"),
        ("session.end", {"started_at": "soon"}, "started_at"),
        ("session.end", {"ended_at": 1e300}, "ended_at"),
        ("session.end", {"duration": "61 s"}, "duration"),
        ("session.end", {"transcript": {}}, "transcript"),
        ("session.end", {"transcript": [7]}, "transcript.0"),
        ("session.end", {"transcript": [{"role": 1}]}, "transcript.0"),
        ("brand.new", {"session_id": 7}, "session_id"),
    ],
)
def test_what_is_dropped_is_named(kind: str, fields: dict[str, Any], named: str, lines: list[str]) -> None:
    parse(kind, **fields)
    assert [line.strip().rpartition(": ")[2] for line in lines] == [named]


def test_the_rest_of_an_object_is_kept(lines: list[str]) -> None:
    lines_of_call = [
        {"role": "user", "text": "Hi", "timestamp": "late"},
        {"text": "no role"},
        "not an entry",
        {"role": "assistant", "text": 5},
        {"role": "assistant", "text": "Hello"},
    ]
    event = parse("session.end", transcript=lines_of_call, duration=61_000, agent_id=5)
    assert isinstance(event, SessionEnd)
    assert [(entry.role, entry.text) for entry in event.transcript] == [
        ("user", "Hi"),
        ("assistant", ""),
        ("assistant", "Hello"),
    ]
    assert (event.duration, event.agent_id, event.transcript[0].timestamp) == (61_000, None, None)
    assert len(lines) == 1


def test_a_thousand_wrong_entries_are_one_short_line(lines: list[str]) -> None:
    event = parse("session.end", transcript=[{"text": SECRET}] * 1000)
    assert isinstance(event, SessionEnd)
    assert event.transcript == []
    assert len(lines) == 1
    assert len(lines[0]) < 300
    assert "995 more" in lines[0]


@pytest.mark.parametrize(
    ("kind", "fields", "named"),
    [
        ("message", {"text": 5, "metadata": "none"}, "text"),
        ("message", {"turn_id": None, "from_phone_number": 5}, "turn_id"),
        ("data", {"session_id": 5, "metadata": []}, "session_id"),
    ],
)
def test_a_required_field_is_named_whatever_else_is_wrong(
    kind: str, fields: dict[str, Any], named: str, lines: list[str]
) -> None:
    with pytest.raises(EventError, match=f"'{named}' is wrong"):
        parse(kind, **fields)
    assert lines == []


@given(st.sampled_from([*CLASSES, "brand.new"]), st.text(st.characters(exclude_categories=())))
def test_half_a_character_in_any_field_is_replaced(kind: str, text: str) -> None:
    fields = dict.fromkeys(("text", "from_phone_number", "extra", "error_message", f"more {text}"), text)
    event = parse(
        kind,
        **fields,
        metadata={text: [text]},
        data={"x": text},
        interruption_context={"text_heard": text},
        transcript=[{"role": text or "user", "text": text}],
    )
    json.dumps(event.model_dump(mode="json"), ensure_ascii=False).encode()


def test_two_halves_make_a_whole_and_one_is_replaced() -> None:
    body = b'{"type":"message","session_id":"s\\ude00","conversation_id":"c","turn_id":"t","text":"\\ud83d\\ude00 \\ud83d"}'
    event = parse_event(body)
    assert (event.session_id, getattr(event, "text", "")) == ("s\ufffd", "\U0001f600 \ufffd")


@pytest.mark.parametrize("kind", [*CLASSES, "brand.new"])
@pytest.mark.parametrize(
    ("number", "read"),
    [
        ("9" * 400, "9" * 400),
        ("-" + "9" * 5000, "-" + "9" * 5000),
        (str(2**64), str(2**64)),
        (str(2**64 - 1), 2**64 - 1),
        (str(-(2**63)), -(2**63)),
        ("1e400", None),
        ("NaN", None),
        ("-Infinity", None),
    ],
)
def test_a_number_that_does_not_fit_is_kept_as_text_or_dropped(kind: str, number: str, read: Any) -> None:
    fields = json.dumps({**IDS, **LEAST.get(kind, {}), "type": kind})[:-1]
    event = parse_event(f'{fields}, "metadata": {{"n": [{number}]}}, "x": {number}}}'.encode())
    assert event.metadata == {"n": [read]}
    assert event.model_extra is not None
    assert event.model_extra["x"] == read


def test_metadata_nested_too_deeply_is_cut_and_not_the_call() -> None:
    fields = json.dumps({**IDS, **LEAST["message"], "type": "message"})[:-1]
    event = parse_event(f'{fields}, "metadata": {{"n": {"[" * 300}{"]" * 300}}}}}'.encode())
    assert event.model_dump_json().count("[") == 198


def test_an_unknown_type_needs_no_ids(lines: list[str]) -> None:
    event = parse_event(b'{"type":"new","session_id":[],"conversation_id":{}}')
    assert type(event) is UnknownEvent
    assert (event.session_id, event.conversation_id) == ("", "")
    assert len(lines) == 1
