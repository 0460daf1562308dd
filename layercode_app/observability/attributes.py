"""Encode span attributes as OTLP, mostly without protobuf message objects, which would take five times as long."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1 import trace_pb2 as wire

MOST_KNOWN = 2000
"""Maximum number of entries in each cache. A full cache is cleared, because most of its ids belong to ended turns."""
LONGEST_KNOWN = 500
_ATTRIBUTES, _KEY, _VALUE, _STRING, _BOOL, _INT, _DOUBLE = (
    bytes((tag,)) for tag in (0x4A, 0x0A, 0x12, 0x0A, 0x10, 0x18, 0x21)
)
"""Protobuf tags (field number and wire type) of a span's attributes, their keys and values, and each type of value."""
_double = struct.Struct("<d").pack
_known: dict[tuple[str, str], bytes] = {}
_keys: dict[str, bytes] = {}


def of_span(attributes: Iterable[tuple[str, Any]]) -> bytes:
    """Encode the attributes as a Protobuf message of a span that has no other fields."""
    found = []
    for pair in attributes:
        try:
            found.append(_known.get(pair) or _text(*pair) if type(pair[1]) is str else _other(*pair))
        except ValueError:
            # Texts with lone surrogates and numbers over 64 bits cannot be encoded.
            continue
    return b"".join(found)


def _text(key: str, value: str) -> bytes:
    alone = _attribute(key, field(_STRING, value.encode()))
    if len(value) <= LONGEST_KNOWN:
        _remember(_known, (key, value), alone)
    return alone


def _other(key: str, value: Any) -> bytes:
    # Compare the exact type, because bool is a subclass of int.
    kind = type(value)
    if kind is float:
        return _attribute(key, _DOUBLE + _double(value))
    if kind is bool:
        return _attribute(key, _BOOL + varint(value))
    if kind is int:
        return _attribute(key, _INT + varint(_in_64_bits(value)))
    alone: bytes = wire.Span(attributes=key_values({key: value})).SerializeToString()
    return alone


def _in_64_bits(number: int) -> int:
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(number)
    return number & (1 << 64) - 1


def _attribute(key: str, value: bytes) -> bytes:
    framed = _keys.get(key) or _remember(_keys, key, field(_KEY, key.encode()))
    return field(_ATTRIBUTES, framed + field(_VALUE, value))


def _remember(known: dict[Any, bytes], key: Any, made: bytes) -> bytes:
    if len(known) >= MOST_KNOWN:
        known.clear()
    known[key] = made
    return made


def key_values(attributes: Mapping[str, Any] | None) -> list[KeyValue]:
    """Convert attributes to `KeyValue` messages. Numbers over 64 bits, and texts with lone surrogates, are left out."""
    found = []
    for key, value in (attributes or {}).items():
        try:
            found.append(KeyValue(key=key, value=_value(value)))
        except (TypeError, ValueError):
            continue
    return found


def _value(value: Any) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    # Check before int, because bool is a subclass of int.
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, Sequence):
        return AnyValue(array_value=ArrayValue(values=[_value(part) for part in value]))
    if isinstance(value, Mapping):
        return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
    return AnyValue()


# --- framing


def field(tag: bytes, message: bytes) -> bytes:
    """Encode a Protobuf field that holds a message or a text: the tag, the length, and the content."""
    return tag + varint(len(message)) + message


def varint(number: int) -> bytes:
    """Encode a non-negative integer as a varint."""
    if number < 128:
        return _SMALL[number]
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


_SMALL = tuple(bytes((number,)) for number in range(128))
