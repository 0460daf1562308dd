"""The private parts of OpenTelemetry work as the toolkit assumes.

If an OpenTelemetry release lacks these parts, spans are sent all the same.
"""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import Counter
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from layercode_app._compat import opentelemetry as private
from layercode_app.observability import encoding, exporting, pipeline, spans
from layercode_app.observability.exporting import Target

from ..observability.collectors import collecting

CODE = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from layercode_app._compat.opentelemetry import provider_may_be_set
before = provider_may_be_set()
trace.set_tracer_provider(TracerProvider())
print(before, provider_may_be_set())
"""


def ended(**attributes: Any) -> ReadableSpan:
    span: Any = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("look", attributes=attributes)
    span.end()
    return span  # type: ignore[no-any-return]


def test_the_variable_tells_whether_a_provider_is_set() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_without_the_variable_the_provider_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "trace", SimpleNamespace())
    monkeypatch.setattr(spans, "_traced", False)
    provider = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: trace.ProxyTracerProvider())
    assert not spans.set_up()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    assert spans.set_up()


@pytest.mark.parametrize("client", [True, False])
def test_spans_arrive_with_and_without_the_exporters_client(client: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not client:
        monkeypatch.setattr(exporting, "send_encoded", lambda exporter: None)
    encoded: list[Any] = []

    def noted(given: Any) -> bytes:
        encoded.append(given)
        return encoding.encode(given)

    monkeypatch.setattr(exporting, "encode", noted)
    with collecting() as collector:
        processor: Any = Target("a target", collector.url).spans()
        processor.on_end(ended(size="large"))
        processor.shutdown()
        assert [(span.name, span.attributes) for span in collector.spans()] == [("look", {"size": "large"})]
    assert len(encoded) == client


def test_an_exporter_without_a_client_gets_no_encoded_spans() -> None:
    exporter = OTLPSpanExporter(endpoint="http://127.0.0.1:1")
    assert private.send_encoded(exporter) is not None
    bare: Any = SimpleNamespace()
    assert private.send_encoded(bare) is None


def test_preferences_of_an_exporter_are_its_wrappers() -> None:
    delta = OTLPMetricExporter(preferred_temporality={Counter: AggregationTemporality.DELTA})
    wrapped = exporting._Metrics(delta, Target("a target"))
    assert private.preferences(wrapped) == private.preferences(delta)
    assert private.preferences(delta)["preferred_temporality"][Counter] is AggregationTemporality.DELTA
    bare: Any = SimpleNamespace()
    defaults = private.preferences(exporting._Metrics(bare, Target("a target")))
    assert defaults == {"preferred_temporality": None, "preferred_aggregation": None}


def test_attributes_are_copied_or_read() -> None:
    class Bare(dict[str, Any]):
        copy: Any = property(lambda self: (_ for _ in ()).throw(AttributeError("copy")))

    span = ended(size="large")
    assert span.attributes is not None
    assert hasattr(span.attributes, "copy")
    assert private.plain(span.attributes) == private.plain(Bare(size="large")) == {"size": "large"}
    assert pipeline.clean_attributes(Bare(size="large")) == {"size": "large"}


def test_an_encoding_is_kept_with_its_span_if_it_has_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    span = ended(size="large")
    cached = encoding.encode([span])
    assert private.cache_of(span)[encoding._WIRE] in cached
    monkeypatch.setattr(encoding, "cache_of", private._no_cache)
    assert encoding.encode([span]) == cached
