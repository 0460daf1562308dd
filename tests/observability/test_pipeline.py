"""Secrets and phone numbers are removed from span attributes of any shape before export."""

from __future__ import annotations

from typing import Any

import logfire
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, Status, StatusCode
from pydantic import BaseModel, ValidationError

from layercode_app.observability.metric_attributes import masked
from layercode_app.observability.pipeline import clean_attributes, clean_span
from layercode_app.observability.privacy.masking import MASK


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


PHONE = "+14155550123"


def test_names_events_links_keys_and_bytes_are_cleaned_too() -> None:
    sent = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(sent))
    tracer = provider.get_tracer("mine")
    with tracer.start_as_current_span("first") as first:
        pass
    with tracer.start_as_current_span(f"call {PHONE}", links=[Link(first.get_span_context(), {"of": PHONE})]) as span:
        span.set_attributes({f"key {PHONE}": 1, "raw": f"call {PHONE}".encode(), "password": "test4711"})
        span.add_event(f"event {PHONE}", {"password": "test4711", "of": PHONE})
    clean = clean_span(sent.get_finished_spans()[-1])
    shown = str(
        [clean.name, clean.attributes, [(e.name, e.attributes) for e in clean.events], clean.links[0].attributes]
    )
    assert "5550123" not in shown
    assert "test4711" not in shown
    assert clean.name == "call +1…23"


@pytest.mark.parametrize(
    "key",
    ["gen_ai.prompt.0.content", "gen_ai.completion.0.content", "traceloop.entity.input", "input.value", "output.value",
     "llm.input_messages.0.message.content", "ai.prompt.messages", "langfuse.observation.input",
     "url.query", "db.query.parameter.name", "db.statement.parameters"],
)  # fmt: skip
def test_what_other_libraries_say_of_the_call_is_removed(key: str) -> None:
    _, clean = cleaned({key: "marzipan", "llm.model_name": "words"})
    assert dict(clean.attributes or {}) == {"llm.model_name": "words"}
    event = clean_span(ReadableSpan("chat", events=[Event("gen_ai.user.message", {"content": "marzipan"})])).events[0]
    assert dict(event.attributes or {}) == {}


def test_a_quote_in_a_comment_hides_no_literal_of_a_statement() -> None:
    _, clean = cleaned(
        {"db.statement": "SELECT 1 -- the caller's row\nWHERE x = 'marzipan' /* it's 'so' */ AND y = 'b'"}
    )
    assert "marzipan" not in str(clean.attributes)
    assert "'b'" not in str(clean.attributes)


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ('SELECT "id" FROM t WHERE name = "marzipan"', 'SELECT "id" FROM t WHERE name = ?'),
        ('INSERT INTO "t" VALUES ("marzipan", \'x\')', 'INSERT INTO "t" VALUES (?, ?)'),
        ('SELECT 1 FROM t JOIN "u" ON "u"."id" = "t"."id"', 'SELECT 1 FROM t JOIN "u" ON "u"."id" = "t"."id"'),
        ("SELECT 1 WHERE a = 'it\\'s marzipan' AND b = 'c'", "SELECT 1 WHERE a = ?"),
        ('SELECT 1 WHERE a = "the \\"marzipan\\" cake"', "SELECT 1 WHERE a = ?"),
    ],
)
def test_a_text_in_double_or_escaped_quotes_is_a_literal(statement: str, shown: str) -> None:
    _, clean = cleaned({"db.statement": statement})
    assert (clean.attributes or {})["db.statement"] == shown


def test_a_number_with_the_name_of_a_secret_is_masked() -> None:
    _, clean = cleaned({"password": 98765432, "max_tokens": 128000, "gen_ai.usage.total_token": 123456})
    assert clean.attributes == {"password": MASK, "max_tokens": 128000, "gen_ai.usage.total_token": 123456}


class Order(BaseModel):
    quantity: int


def test_what_logfire_adds_of_a_validation_error_is_removed() -> None:
    sent = InMemorySpanExporter()
    own = logfire.configure(
        local=True, send_to_logfire=False, console=False, additional_span_processors=[SimpleSpanProcessor(sent)]
    )
    with pytest.raises(ValidationError) as raised, own.span("parse", rows=3):
        Order.model_validate({"quantity": "marzipan"})
    assert "marzipan" in str(dict(sent.get_finished_spans()[0].attributes or {}))
    more = {"errors": raised.value.json(), "exception.message": str(raised.value)}
    assert "marzipan" not in str(clean_attributes(more))
    clean = clean_span(sent.get_finished_spans()[0])
    (event,) = clean.events
    assert "marzipan" not in f"{dict(clean.attributes or {})} {dict(event.attributes or {})}"
    assert (clean.attributes or {})["rows"] == 3
    assert clean.status.description == "ValidationError"


@pytest.mark.parametrize(
    ("description", "shown"),
    [
        ("marzipan: not on the menu", None),
        ("marzipan", None),
        ("00491511234567", None),
        ("LookupError: marzipan", "LookupError"),
        ("Sold_Out: marzipan", "Sold_Out"),
        ("bakery.Sold_Out: marzipan", "bakery.Sold_Out"),
        ("rate_limit", "rate_limit"),
    ],
)
def test_only_a_category_or_an_errors_type_stays_of_a_status(description: str, shown: str | None) -> None:
    events = [Event("exception", {"exception.type": "bakery.Sold_Out"})]
    span = ReadableSpan("own", events=events, status=Status(StatusCode.ERROR, description))
    assert clean_span(span).status.description == shown


def test_an_id_that_is_a_phone_number_is_cleaned() -> None:
    _, clean = cleaned({"gen_ai.conversation.id": PHONE, "layercode.turn.id": PHONE, "layercode.session.id": PHONE})
    assert set((clean.attributes or {}).values()) == {"+1…23"}


def test_attributes_of_metrics_are_cleaned() -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("mine")
    meter.create_counter("calls").add(1, {"phone": PHONE, "size": "large"})
    meter.create_histogram("seconds").record(1, {"size": "small"})
    data = reader.get_metrics_data()
    assert data is not None
    points = [
        point.attributes
        for resource in masked(data).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]
    assert [dict(point or {}) for point in points] == [{"phone": "+1…23", "size": "large"}, {"size": "small"}]


def test_attributes_that_only_look_like_secrets_or_transcripts_stay() -> None:
    given = {
        "gen_ai.token.type": "input",
        "gen_ai.usage.input_tokens": 3,
        "input.device": "mic",
        "output.format": "mp3",
    }
    span, clean = cleaned(given)
    assert clean is span
    _, clean = cleaned({"db.statement": "SELECT \"a--b\" FROM t WHERE x = 'marzipan' AND y = 1"})
    assert dict(clean.attributes or {}) == {"db.statement": 'SELECT "a--b" FROM t WHERE x = ? AND y = 1'}
