"""Our span encoder produces the same bytes as OpenTelemetry's."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from layercode_app.observability import attributes, encoding

VALUES: dict[str, Any] = {
    "text": "hello",
    "again": "hello",
    "accents": "é…😀",
    "long": "x" * 1000,
    "empty": "",
    "one": 1,
    "true": True,
    "float": 1.0,
    "zero": 0,
    "nothing of it": 0.0,
    "false": False,
    "negative": -5,
    "least": -(2**63),
    "most": 2**63 - 1,
    "two bytes": 300,
    "bytes": b"\x00\xff",
    "texts": ("a", "b"),
    "numbers": (1, 2.5, True),
    "mapping": {"inner": {"deep": 1}, "list": ("a",)},
    "nothing": None,
}
BROKEN: dict[str, Any] = {
    "half a character": "\ud83d",
    "too large": 2**63,
    "too small": -(2**63) - 1,
}


def recorded(attributes: dict[str, Any]) -> list[ReadableSpan]:
    sent = InMemorySpanExporter()
    for number in range(2):
        provider = TracerProvider(resource=Resource({"service.name": f"service {number}"}, "https://schema"))
        provider.add_span_processor(SimpleSpanProcessor(sent))
        tracer = provider.get_tracer("scope", "1.2", "https://scope", {"a": 1})
        remote = SpanContext(7, 8, True, TraceFlags(1), TraceState([("vendor", "value"), ("other", "x")]))
        within = set_span_in_context(NonRecordingSpan(remote))
        with tracer.start_as_current_span("root", within, kind=SpanKind.SERVER, attributes=attributes):
            with tracer.start_as_current_span(
                "client", kind=SpanKind.CLIENT, links=[Link(remote, {"why": "x"})]
            ) as inner:
                inner.add_event("exception", {"exception.type": "ValueError", "count": 3})
                inner.set_status(Status(StatusCode.ERROR, "tool"))
            provider.get_tracer("other").start_span("internal", attributes={"text": "hello"}).end()
    return list(sent.get_finished_spans())


def in_order(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """Sort the attributes of every span in place, because their order has no meaning. Return the request."""
    for span in (s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans):
        span.attributes.sort(key=lambda pair: pair.key)
    return request


def assert_same(spans: list[ReadableSpan]) -> None:
    ours = ExportTraceServiceRequest.FromString(encoding.encode(spans))
    assert in_order(ours) == in_order(encode_spans(spans))


def test_every_kind_of_span_and_value_is_sent_as_by_opentelemetry() -> None:
    spans = recorded(VALUES)
    assert_same(spans)
    # What was encoded before is copied.
    assert_same(spans)


def test_what_cannot_be_encoded_is_left_out_and_the_rest_is_sent() -> None:
    assert_same(recorded({**BROKEN, "text": "kept"}))


def test_numbers_that_are_equal_keep_their_kinds() -> None:
    for value in (1, True, 1.0, "1"):
        assert_same(recorded({"same": value}))


def test_what_is_kept_of_earlier_spans_has_a_bound() -> None:
    for number in range(attributes.MOST_KNOWN + 10):
        attributes.of_span([("turn", str(number)), (f"key {number}", "x" * 1000)])
    assert len(attributes._known) <= attributes.MOST_KNOWN
    assert len(attributes._keys) <= attributes.MOST_KNOWN
    assert_same(recorded(VALUES))


def test_a_span_is_encoded_once_for_all_who_are_sent_it(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = recorded(VALUES)
    first = encoding.encode(spans)
    monkeypatch.setattr(encoding, "of_span", lambda attributes: pytest.fail("encoded again"))
    assert encoding.encode(spans) == first


def test_a_name_or_status_that_cannot_be_sent_costs_no_other_span() -> None:
    sent = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(sent))
    for name in ("half \ud83d", "whole"):
        span = provider.get_tracer("scope").start_span(name)
        span.add_event(name)
        span.set_status(Status(StatusCode.ERROR, name))
        span.end()
    request = ExportTraceServiceRequest.FromString(encoding.encode(sent.get_finished_spans()))
    assert [span.name for span in request.resource_spans[0].scope_spans[0].spans] == ["half ?", "whole"]
