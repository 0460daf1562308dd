"""Frames to Server-Sent Events and back: pure functions over bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import orjson

from ..conversation.record import DATA, ERROR, Frame, Json
from ..wellformed import load_odd_json

_CONTENT = {ERROR: "error"}
"""How the content of a frame is called on the wire, where it is not "content"."""

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
"""What keeps proxies from buffering or compressing the stream."""


def encode(frame: Frame, turn_id: str) -> bytes:
    """One frame as one Server-Sent Event, carrying the turn's id."""
    kind, content = frame.type, frame.content
    if content is None and kind != DATA:
        return b"data: " + _dump({"type": kind, "turn_id": turn_id}) + b"\n\n"
    return b"data: " + _dump({"type": kind, "turn_id": turn_id, _CONTENT.get(kind, "content"): content}) + b"\n\n"


def encode_all(frames: Sequence[Frame], turn_id: str) -> bytes:
    """Several frames as one piece, so that they cost one write."""
    if len(frames) == 1:
        return encode(frames[0], turn_id)
    return b"".join([encode(frame, turn_id) for frame in frames])


def _dump(payload: dict[str, Json]) -> bytes:
    try:
        return orjson.dumps(payload, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # Half a character, or an integer of over 64 bits. What JSON has no type for is still an error.
        return orjson.dumps(load_odd_json(json.dumps(payload)))


class Decoder:
    """Reads Server-Sent Events from chunks of any size; tolerates `\\r\\n`, comments and other fields."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[dict[str, Json]]:
        """Yield each JSON object that the chunk completes; raises ValueError for data that is not one."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            yield from self._line(line.rstrip(b"\r"))

    def _line(self, line: bytes) -> Iterator[dict[str, Json]]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            data, self._data = b"\n".join(self._data), []
            yield _object(data)


def _object(data: bytes) -> dict[str, Json]:
    try:
        value = json.loads(data)
    except RecursionError as error:
        raise ValueError(f"expected a JSON object in the event, got one nested too deeply: {data[:80]!r}") from error
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object in the event, got {data[:80]!r}")
    return value
