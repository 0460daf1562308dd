"""Encode and decode a turn's record as JSON for the stores. The JSON is compact, because each turn is written twice."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import TypeVar

import orjson

from ..wellformed import dump_json, load_json
from .record import Frame, Json, Kind, ModelCall, Speech, Stage, Status, ToolCall, TurnRecord

T = TypeVar("T")

_BODIES = frozenset(("position", "messages", "frames"))
_READ = frozenset(f.name for f in fields(TurnRecord)) - _BODIES
_KINDS = {str(kind): kind for kind in Kind}
STATUSES = {str(status): status for status in Status}
"""The statuses by their JSON value."""


def to_json(value: Json) -> bytes:
    """Encode any value as JSON. If JSON has no type for a value, write the result of `str` instead."""
    return dump_json(value)


def sorted_json(value: Json) -> bytes:
    """Encode equal values as equal bytes, whatever the order of their keys."""
    return dump_json(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def from_json(data: bytes | str) -> Json:
    """Decode JSON that `to_json` wrote. JSON of older versions may contain lone surrogates and oversized numbers."""
    return load_json(data)


def _most(record: TurnRecord) -> dict[str, Json]:
    """Return the fields that nearly every turn has.

    The code names each field, because a loop over all fields takes three times as long, and most fields are empty.
    """
    return {
        "conversation_id": record.conversation_id,
        "turn_id": record.turn_id,
        "session_id": record.session_id,
        "kind": record.kind,
        "agent": record.agent,
        "fingerprint": record.fingerprint,
        "status": record.status,
        "owner": record.owner,
        "event": record.event,
        "user_text": record.user_text,
        "timings": record.timings,
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
    }


_new = TurnRecord("", "", Kind.MESSAGE, "")
_FEW = tuple(f.name for f in fields(TurnRecord) if f.name in _READ - _most(_new).keys() - {"speech"})
"""The fields that few turns use; they are left out while they have their default value."""
_few_of = attrgetter(*_FEW)
_AT_FIRST = _few_of(_new)


def dump_head(record: TurnRecord) -> bytes:
    """Encode the record as JSON without its messages and frames. The stores keep these two separately."""
    head = _most(record)
    if record.speech:
        head["speech"] = [{"source": p.source, "response": p.response, "text": p.text} for p in record.speech]
    if (few := _few_of(record)) != _AT_FIRST:
        head |= {name: value for name, value, first in zip(_FEW, few, _AT_FIRST, strict=True) if value != first}
    return to_json(head)


def dump_frames(record: TurnRecord) -> bytes:
    """Encode the record's frames as a JSON list."""
    # Use dictionaries, because orjson takes four times as long to encode a dataclass with slots.
    return to_json([{"type": f.type, "content": f.content, "at_ms": f.at_ms} for f in record.frames])


def build(load: type[T], part: dict[str, Json]) -> T:
    """Build an object, such as a job or a tool call of a record, from its JSON.

    Unknown fields are dropped. A newer version or an export may contain them.
    """
    try:
        return load(**part)
    except TypeError:
        known = {f.name for f in fields(load)}  # type: ignore[arg-type]
        return load(**{name: value for name, value in part.items() if name in known})


def load_record(head: bytes, *, position: int, messages: bytes = b"", frames: bytes = b"") -> TurnRecord:
    """Decode the record that `dump_head` and `dump_frames` encoded; drop unknown fields of a newer version."""
    values = from_json(head)
    values["kind"] = _KINDS[values["kind"]]
    values["status"] = STATUSES[values["status"]]
    for name, load in (("speech", Speech), ("tools", ToolCall), ("stages", Stage), ("requests", ModelCall)):
        if values.get(name):
            values[name] = [build(load, part) for part in values[name]]
    record = TurnRecord(values["conversation_id"], values["turn_id"], values["kind"], values["agent"])
    for name, value in values.items():
        if name in _READ:
            setattr(record, name, value)
    record.position, record.messages = position, messages
    record.frames = [build(Frame, frame) for frame in from_json(frames)] if frames else []
    return record
