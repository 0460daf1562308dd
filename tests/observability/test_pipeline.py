"""Secrets and phone numbers are removed from span attributes of any shape before export."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from layercode_app.observability.pipeline import clean_span


def cleaned(attributes: dict[str, Any]) -> tuple[ReadableSpan, ReadableSpan]:
    sent = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(sent))
    provider.get_tracer("mine").start_span("mine", attributes=attributes).end()
    (span,) = sent.get_finished_spans()
    return span, clean_span(span)


@pytest.mark.parametrize(
    "value",
    [
        "call +14155550123",
        ("call +14155550123", "x"),
        {"from": "+14155550123"},
        {"deep": {"from": "+14155550123"}, "many": ("+14155550123",)},
        {"api_key": "abcdef4711"},
        {"many": [{"password": "abcdef4711"}]},
    ],
    ids=repr,
)
def test_phone_numbers_and_secrets_are_cleaned_out_of_texts_lists_and_mappings(value: Any) -> None:
    _, clean = cleaned({"mine": value, "count": 3})
    shown = str(dict(clean.attributes or {}))
    assert "5550123" not in shown
    assert "abcdef4711" not in shown
    assert (clean.attributes or {})["count"] == 3


def test_a_span_with_nothing_to_clean_is_not_copied() -> None:
    span, clean = cleaned({"gen_ai.request.model": "words", "seconds": 0.5, "kept": True, "layercode.turn.id": "t"})
    assert clean is span


def test_counts_within_a_mapping_stay() -> None:
    _, clean = cleaned({"usage": {"input_tokens": 50}})
    assert (clean.attributes or {})["usage"] == {"input_tokens": 50}
