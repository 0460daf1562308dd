"""Metrics are collected once and exported to every target. A failing target does not affect the others."""

from __future__ import annotations

import os
import threading

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider

from layercode_app.observability import exporting
from layercode_app.observability.exporting import TIMEOUT_SECONDS, Target, metrics_to

from .collectors import Collector, Mood, collecting


def count_two(targets: list[Target], seconds: float) -> None:
    """Add 2 to the metric `counted`, and shut the exporter down. It has `seconds` to send the metric to the targets."""
    reader = PeriodicExportingMetricReader(metrics_to(targets))
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    provider.get_meter("test").create_counter("counted").add(2)
    reader.shutdown(timeout_millis=seconds * 1000)


def seen(collector: Collector) -> float | None:
    return collector.metrics().get("counted")


@pytest.mark.parametrize("several", [False, True])
def test_each_target_is_sent_all_of_it(several: bool) -> None:
    with collecting() as one, collecting() as other:
        used = [one, other] if several else [one]
        count_two([Target("a target", collector.url) for collector in used], 30)
        assert [seen(collector) for collector in used] == [2] * len(used)


@pytest.mark.parametrize("mood", ["hang", "error", "garbage"])
def test_an_ill_target_keeps_no_other_waiting(mood: Mood) -> None:
    with collecting(mood) as ill, collecting() as well:
        targets = [Target("the ill one", ill.url), Target("the other", well.url)]
        count_two(targets, TIMEOUT_SECONDS / 2)
        assert seen(well) == 2
        assert not targets[1].outage.down


def test_exports_to_a_target_that_never_answers_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "TIMEOUT_SECONDS", 30.0)
    with collecting("hang") as ill, collecting() as well:
        exporter = metrics_to([Target("the ill one", ill.url), Target("the other", well.url)])
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=20)
        provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
        provider.get_meter("test").create_counter("counted").add(2)
        before = threading.active_count()
        well.wait_for(lambda: len(well.bodies) > 10)
        # The test's collectors also use one thread per request, and the collector that hangs keeps its threads.
        assert threading.active_count() <= before + 3 * exporting.MOST_SENDING
        reader.shutdown(timeout_millis=100)


@pytest.mark.parametrize("signal", ["", "TRACES_", "METRICS_"])
def test_the_variables_of_the_collector_are_not_used_for_another_target(
    signal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as logfire:
        for name in ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"):
            # The SDK fails if these files are missing.
            monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}{name}", "/missing.pem")
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}HEADERS", "x-api-key=of-the-collector")
        monkeypatch.setenv(f"OTEL_PYTHON_EXPORTER_OTLP_HTTP_{signal}CREDENTIAL_PROVIDER", "missing")
        before = dict(os.environ)
        target = Target("Logfire", logfire.url, {"Authorization": "own"})
        count_two([target], 30)
        traces = TracerProvider(shutdown_on_exit=False)
        traces.add_span_processor(target.spans())
        traces.get_tracer("test").start_span("one").end()
        traces.shutdown()
        assert os.environ == before
        assert {path for path, _ in logfire.bodies} == {"/v1/metrics", "/v1/traces"}
        assert {headers["authorization"] for headers in logfire.headers} == {"own"}
        assert b"of-the-collector" not in logfire.raw
