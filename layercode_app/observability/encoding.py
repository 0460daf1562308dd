"""Encode spans as OTLP once for all exporters, at a tenth of the cost of the exporter's own encoder.

Protobuf merges two concatenated messages of the same type. So the common fields of a span are encoded by hand, and the
rare fields are appended as a serialised message.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as wire
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext, Status, StatusCode

from .._compat.opentelemetry import cache_of, plain
from .attributes import field, key_values, of_span

# Look these up once: each access to a protobuf enumeration takes as long as encoding an attribute.
_LOCAL: int = wire.SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE: int = _LOCAL | wire.SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_IDS = struct.Struct(">2sQQ2sQ").pack
"""Packs the trace id (in two halves) and the span id, each after its tag and length."""
_PARENT = struct.Struct(">2sQ").pack
_REST = struct.Struct("<BBBQBQ2sI2s").pack
"""Packs the span's kind, start, end, flags, and an empty status, each after its tag."""
_HALF = (1 << 64) - 1
_WIRE = "_layercode_wire"


def encode(spans: Iterable[ReadableSpan]) -> bytes:
    """Encode spans as the body of a request to `/v1/traces`."""
    resources: dict[int, tuple[Any, dict[int, tuple[Any, list[bytes]]]]] = {}
    for span in spans:
        # Group by identity: hashing a resource would serialise it to JSON.
        _, scopes = resources.setdefault(id(span.resource), (span.resource, {}))
        _, found = scopes.setdefault(id(span.instrumentation_scope), (span.instrumentation_scope, []))
        # Ended spans are immutable, so the encoding is cached for all exporters.
        own = cache_of(span)
        found.append(own.get(_WIRE) or own.setdefault(_WIRE, _span(span)))
    return b"".join(
        field(b"\x0a", _resource_spans(resource, scopes.values())) for resource, scopes in resources.values()
    )


def _resource_spans(resource: Any, scopes: Iterable[tuple[Any, Sequence[bytes]]]) -> bytes:
    own = wire.ResourceSpans(
        resource=Resource(attributes=key_values(resource.attributes)), schema_url=resource.schema_url
    )
    return _bytes(own) + b"".join(field(b"\x12", _scope_spans(scope, spans)) for scope, spans in scopes)


def _scope_spans(scope: Any, spans: Iterable[bytes]) -> bytes:
    own = wire.ScopeSpans(scope=InstrumentationScope())
    if scope is not None:
        attributes = key_values(scope.attributes)
        named = InstrumentationScope(name=scope.name, version=scope.version, attributes=attributes)
        own = wire.ScopeSpans(scope=named, schema_url=scope.schema_url)
    return _bytes(own) + b"".join([field(b"\x12", span) for span in spans])


def _span(span: ReadableSpan) -> bytes:
    context, parent = span.context, span.parent
    trace_id = context.trace_id
    # OTLP counts kinds from 1; 0 is "unspecified".
    begin, end, kind = span.start_time or 0, span.end_time or 0, span.kind.value + 1
    attributes = plain(span.attributes) if span.attributes else {}
    return b"".join(
        (
            _IDS(b"\x0a\x10", trace_id >> 64, trace_id & _HALF, b"\x12\x08", context.span_id),
            _PARENT(b"\x22\x08", parent.span_id) if parent else b"",
            field(b"\x2a", _whole(span.name).encode()),
            _REST(0x30, kind, 0x39, begin, 0x41, end, b"\x85\x01", _flags(parent), b"\x7a\x00"),
            of_span(attributes.items()),
            _what_is_rare(span),
        )
    )


def _what_is_rare(span: ReadableSpan) -> bytes:
    events, links, status, state = span.events, span.links, span.status, span.context.trace_state
    told = status.status_code is not StatusCode.UNSET
    if not (events or links or told or state or span.dropped_attributes):
        return b""
    found = wire.Span(
        trace_state=state.to_header(),
        dropped_attributes_count=span.dropped_attributes,
        events=[_event(event) for event in events],
        dropped_events_count=span.dropped_events,
        links=[_link(link) for link in links],
        dropped_links_count=span.dropped_links,
        status=_status(status) if told else None,
    )
    return _bytes(found)


def _status(status: Status) -> wire.Status:
    code: Any = status.status_code.value
    return wire.Status(code=code, message=_whole(status.description or ""))


def _flags(context: SpanContext | None) -> int:
    return _REMOTE if context and context.is_remote else _LOCAL


def _whole(text: str) -> str:
    """Replace lone surrogates, which cannot be encoded.

    A model may put one into a tool's name. Without the replacement, the encoder would raise an error, and the whole
    batch of spans would be lost.
    """
    return text if text.isascii() else text.encode(errors="replace").decode()


def _event(event: Event) -> wire.Span.Event:
    return wire.Span.Event(
        name=_whole(event.name),
        time_unix_nano=event.timestamp,
        attributes=key_values(event.attributes),
        dropped_attributes_count=event.dropped_attributes,
    )


def _link(link: Link) -> wire.Span.Link:
    return wire.Span.Link(
        trace_id=link.context.trace_id.to_bytes(16, "big"),
        span_id=link.context.span_id.to_bytes(8, "big"),
        attributes=key_values(link.attributes),
        dropped_attributes_count=link.dropped_attributes,
        flags=_flags(link.context),
    )


def _bytes(message: Any) -> bytes:
    done: bytes = message.SerializeToString()
    return done
