"""A turn's record as JSON, the way stores write it: small, because every turn is written twice."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import Any

import orjson

from ..wellformed import dump_json, load_json
from .record import Frame, Json, Kind, ModelCall, Speech, Stage, Status, ToolCall, TurnRecord

_BODIES = frozenset(("position", "messages", "frames"))
_READ = frozenset(f.name for f in fields(TurnRecord)) - _BODIES
_KINDS = {str(kind): kind for kind in Kind}
STATUSES = {str(status): status for status in Status}
"""The statuses by what is written of them."""


def to_json(value: Json) -> bytes:
    """The value as JSON, whatever it holds: what JSON has no type for is written as its `str`."""
    return dump_json(value)


def sorted_json(value: Json) -> bytes:
    """Encode equal values as equal bytes, whatever the order of their keys."""
    return dump_json(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def from_json(data: bytes | str) -> Json:
    """What `to_json` wrote, also where an older version wrote half a character or a number that is too large."""
    return load_json(data)


def _most(record: TurnRecord) -> dict[str, Json]:
    """What nearly every turn has. Field by field: a loop over all, most of them empty, takes three times as long."""
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
"""What few turns have: left out where it is as it was at first."""
_few_of = attrgetter(*_FEW)
_AT_FIRST = _few_of(_new)


def dump_head(record: TurnRecord) -> bytes:
    """The record as JSON, without its messages and frames, which stores keep beside it."""
    head = _most(record)
    if record.speech:
        head["speech"] = [{"source": p.source, "response": p.response, "text": p.text} for p in record.speech]
    if (few := _few_of(record)) != _AT_FIRST:
        head |= {name: value for name, value, first in zip(_FEW, few, _AT_FIRST, strict=True) if value != first}
    return to_json(head)


def dump_frames(record: TurnRecord) -> bytes:
    """The record's frames as a JSON list."""
    # Dictionaries, because a dataclass with slots takes orjson four times as long.
    return to_json([{"type": f.type, "content": f.content, "at_ms": f.at_ms} for f in record.frames])


def _part(load: type[Any], part: dict[str, Json]) -> Any:
    """A part of the record; unknown fields, of a newer version or of an export, are dropped."""
    try:
        return load(**part)
    except TypeError:
        known = {f.name for f in fields(load)}
        return load(**{name: value for name, value in part.items() if name in known})


def load_record(head: bytes, *, position: int, messages: bytes = b"", frames: bytes = b"") -> TurnRecord:
    """The record that `dump_head` and `dump_frames` wrote; unknown fields of a newer version are dropped."""
    values = from_json(head)
    values["kind"] = _KINDS[values["kind"]]
    values["status"] = STATUSES[values["status"]]
    for name, load in (("speech", Speech), ("tools", ToolCall), ("stages", Stage), ("requests", ModelCall)):
        if values.get(name):
            values[name] = [_part(load, part) for part in values[name]]
    record = TurnRecord(values["conversation_id"], values["turn_id"], values["kind"], values["agent"])
    for name, value in values.items():
        if name in _READ:
            setattr(record, name, value)
    record.position, record.messages = position, messages
    record.frames = [Frame(**frame) for frame in from_json(frames)] if frames else []
    return record
