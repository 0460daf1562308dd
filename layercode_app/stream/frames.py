"""Encode frames as Server-Sent Events and decode them, without any I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import orjson

from ..journal.record import DATA, ERROR, Frame, Json
from ..wellformed import load_odd_json

_CONTENT = {ERROR: "error"}
"""Maps a frame type to the name of its content field. In frames of all other types the field is named "content"."""

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
"""Response headers of a stream; they also keep proxies from buffering or compressing it."""


def encode(frame: Frame, turn_id: str) -> bytes:
    """Encode a frame as one Server-Sent Event with the turn's id."""
    kind, content = frame.type, frame.content
    if content is None and kind != DATA:
        return b"data: " + _dump({"type": kind, "turn_id": turn_id}) + b"\n\n"
    return b"data: " + _dump({"type": kind, "turn_id": turn_id, _CONTENT.get(kind, "content"): content}) + b"\n\n"


def encode_all(frames: Sequence[Frame], turn_id: str) -> bytes:
    """Encode several frames as one byte string, so that they need one write."""
    if len(frames) == 1:
        return encode(frames[0], turn_id)
    return b"".join([encode(frame, turn_id) for frame in frames])


def _dump(payload: dict[str, Json]) -> bytes:
    try:
        return orjson.dumps(payload, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # The payload has an unpaired surrogate or an integer of over 64 bits, and orjson refuses both. The next line
        # still raises an error for values that JSON cannot represent.
        return orjson.dumps(load_odd_json(json.dumps(payload)))


class Decoder:
    """Decodes Server-Sent Events from chunks of any size. It accepts `\\r\\n`, and reads only `data` fields."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[dict[str, Json]]:
        """Yield each JSON object that the chunk completes. Raises ValueError for data that is not a JSON object."""
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
