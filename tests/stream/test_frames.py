"""Frames are encoded for the wire, and decoded from pieces of any size."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercode_app.journal.record import DATA, END, ERROR, HANGUP, TTS, Frame
from layercode_app.stream.frames import HEADERS, Decoder, encode, encode_all
from layercode_app.wellformed import plain

TURN = "turn-1"

surrogates_too = st.text(st.characters(exclude_categories=()))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | surrogates_too,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(surrogates_too, inner, max_size=3),
    max_leaves=8,
)
frames = (
    st.builds(Frame, st.just(TTS), surrogates_too) | st.builds(Frame, st.just(DATA), json_values) | st.just(Frame(END))
)


def decode(wire: bytes) -> list[dict[str, Any]]:
    return list(Decoder().feed(wire))


@pytest.mark.parametrize(
    ("frame", "wire"),
    [
        (Frame(TTS, "Hi there "), b'data: {"type":"response.tts","turn_id":"turn-1","content":"Hi there "}\n\n'),
        (Frame(TTS, ""), b'data: {"type":"response.tts","turn_id":"turn-1","content":""}\n\n'),
        (Frame(TTS, "a\nb\r"), b'data: {"type":"response.tts","turn_id":"turn-1","content":"a\\nb\\r"}\n\n'),
        (Frame(TTS, "né🎈"), 'data: {"type":"response.tts","turn_id":"turn-1","content":"né🎈"}\n\n'.encode()),
        (Frame(DATA, {"n": 1}), b'data: {"type":"response.data","turn_id":"turn-1","content":{"n":1}}\n\n'),
        (Frame(DATA, None), b'data: {"type":"response.data","turn_id":"turn-1","content":null}\n\n'),
        (Frame(DATA, {3: "x"}), b'data: {"type":"response.data","turn_id":"turn-1","content":{"3":"x"}}\n\n'),
        (Frame(ERROR, "sorry"), b'data: {"type":"response.error","turn_id":"turn-1","error":"sorry"}\n\n'),
        (Frame(HANGUP), b'data: {"type":"response.hangup","turn_id":"turn-1"}\n\n'),
        (Frame(END), b'data: {"type":"response.end","turn_id":"turn-1"}\n\n'),
    ],
)
def test_each_frame_on_the_wire(frame: Frame, wire: bytes) -> None:
    assert encode(frame, TURN) == wire


@given(st.lists(frames))
def test_what_is_encoded_decodes(many: list[Frame]) -> None:
    wire = encode_all(many, TURN)
    decoded = decode(wire)
    assert [event["type"] for event in decoded] == [frame.type for frame in many]
    assert all(event["turn_id"] == TURN for event in decoded)
    for event, frame in zip(decoded, many, strict=True):
        assert event.get("content") in (json.loads(json.dumps(frame.content)), plain(frame.content))


@given(frame=frames, turn_id=surrogates_too)
def test_a_frame_is_one_line_and_a_blank_one(frame: Frame, turn_id: str) -> None:
    wire = encode(frame, turn_id)
    assert wire.startswith(b"data: {")
    assert wire.endswith(b"}\n\n")
    assert wire.count(b"\n") == 2
    assert b"\r" not in wire
    wire.decode()


def test_half_a_character_is_replaced_and_two_are_joined() -> None:
    halves = [Frame(DATA, {"a": "\ud83c"}), Frame(DATA, ["\ud83c\udf88"])]
    assert [event["content"] for event in decode(encode_all(halves, TURN))] == [{"a": "\ufffd"}, ["\U0001f388"]]


@pytest.mark.parametrize("odd", [2**70, -(2**70), "\ud800", [[2**64]]])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_lacks_are_null_whatever_stands_beside_them(odd: Any, number: float) -> None:
    wire = encode(Frame(DATA, {"odd": odd, "number": number}), TURN)
    assert b"NaN" not in wire
    assert b"Infinity" not in wire
    assert decode(wire)[0]["content"] == {"odd": plain(odd), "number": None}


def test_what_json_cannot_hold_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="set"):
        encode(Frame(DATA, {"tags": {1, 2}}), TURN)


def test_headers_keep_proxies_from_buffering() -> None:
    headers = dict(HEADERS)
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert b"no-transform" in headers[b"cache-control"]
    assert headers[b"x-accel-buffering"] == b"no"


@given(many=st.lists(frames, max_size=4), data=st.data())
def test_chunks_of_any_size_give_the_same_events(many: list[Frame], data: st.DataObject) -> None:
    wire = encode_all(many, TURN)
    if data.draw(st.booleans(), label="with \\r\\n"):
        wire = wire.replace(b"\n", b"\r\n")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)))))
    decoder = Decoder()
    pieces = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert [event for piece in pieces for event in decoder.feed(piece)] == decode(wire)


def test_byte_by_byte() -> None:
    wire = encode_all([Frame(TTS, "né🎈"), Frame(DATA, {"a": [1, None]}), Frame(END)], TURN)
    decoder = Decoder()
    events = [event for at in range(len(wire)) for event in decoder.feed(wire[at : at + 1])]
    assert events == decode(wire)
    assert [event["type"] for event in events] == [TTS, DATA, END]


def test_an_event_appears_with_its_blank_line_and_not_before() -> None:
    decoder = Decoder()
    assert list(decoder.feed(b'data: {"type":"response.end"}\n')) == []
    assert list(decoder.feed(b"\n")) == [{"type": "response.end"}]
    assert list(decoder.feed(b"\n\n\n")) == []


@pytest.mark.parametrize(
    "wire",
    [
        b'data:{"a":1}\n\n',
        b'data: {"a":1}\r\n\r\n',
        b': a comment\ndata: {"a":1}\n\n',
        b'event: message\nid: 7\nretry: 100\ndata: {"a":1}\n\n',
        b'data: {"a":\ndata: 1}\n\n',
        b'\n\ndata: {"a":1}\n\n',
        b': keep-alive\n\ndata: {"a":1}\n\n',
    ],
)
def test_forms_other_servers_write(wire: bytes) -> None:
    assert decode(wire) == [{"a": 1}]


def test_an_unfinished_event_is_not_one() -> None:
    assert decode(b'data: {"a":1}\n') == []


@pytest.mark.parametrize(
    "data",
    [b"[1]", b"null", b'"text"', b"hello", b'{"a":', b"", b"\xff", b"[" * 100_000, b"9" * 5000],
    ids=["list", "null", "string", "text", "cut", "empty", "not utf-8", "deep", "long number"],
)
def test_data_that_is_no_object_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        decode(b"data: " + data + b"\n\n")
    assert len(str(refusal.value)) < 300
