"""Export spans and metrics without risk to calls: short timeouts, one warning per outage, bounded shutdown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import copy_context
from typing import Any, Literal, TypeAlias

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from .._compat.opentelemetry import preferences, send_encoded
from ..settings import environment, overlaid
from .encoding import encode
from .metric_attributes import masked
from .outages import SinkOutage

TIMEOUT_SECONDS = 2.0
"""Timeout of one export, retries included."""
MOST_SENDING = 2
"""Maximum concurrent exports of metrics to one target. Beyond that, the target is skipped until the next export."""
COLLECTOR_ONLY = ("OTEL_EXPORTER_OTLP_", "OTEL_PYTHON_EXPORTER_OTLP_")
"""Prefixes of the standard variables that describe the OTLP collector: headers, certificates, keys, timeouts."""
ALL_TARGETS = (
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
)
"""Variables that apply to all targets, although their names begin with the first prefix in COLLECTOR_ONLY. They say how
metrics are collected, and metrics are collected only once."""
REASON = f"it refused the data, failed, or did not answer in {TIMEOUT_SECONDS:g} s"


Signal: TypeAlias = Literal["traces", "metrics"]
SIGNALS: tuple[Signal, ...] = ("traces", "metrics")


class Target:
    """A destination of spans, metrics or both, as `signals` tells. `name` is shown in logs.

    `endpoint` is the base URL. Without it, the collector in the standard OTEL variables is used. With it, these
    variables are ignored, so that the collector's secrets are sent nowhere else.
    """

    def __init__(
        self,
        name: str,
        endpoint: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        signals: Collection[Signal] = SIGNALS,
    ) -> None:
        self.signals = signals
        self.outage = SinkOutage(name)
        self.closed = False
        self._endpoint = endpoint.rstrip("/") if endpoint else None
        self._headers = dict(headers) if headers else None

    def _options(self, signal: str) -> dict[str, Any]:
        options: dict[str, Any] = {"timeout": TIMEOUT_SECONDS}
        if self._endpoint:
            options["endpoint"] = f"{self._endpoint}/v1/{signal}"
            # A turn has a few kilobytes, which cost more to compress than to send.
            options["compression"] = Compression.NoCompression
        if self._headers:
            options["headers"] = self._headers
        return options

    def spans(self) -> BatchSpanProcessor:
        """Return a processor that sends spans to this target in batches, in a separate thread."""
        with self._only_own_variables():
            exporter = OTLPSpanExporter(**self._options("traces"))
        return BatchSpanProcessor(_Spans(exporter, self))

    def metrics(self) -> _Metrics:
        """Return an exporter that sends metrics to this target."""
        with self._only_own_variables():
            exporter = OTLPMetricExporter(**self._options("metrics"))
        return _Metrics(exporter, self)

    def _only_own_variables(self) -> AbstractContextManager[None]:
        """Return a context in which an exporter can be created: it hides some environment variables from the exporter.

        If this target has its own endpoint, the variables that describe the standard OTLP collector are hidden (see
        `COLLECTOR_ONLY`), because the exporter would merge them with the options of this target. If this target
        has no endpoint of its own, nothing is hidden.
        """
        names = [name for name in environment() if name.startswith(COLLECTOR_ONLY) and name not in ALL_TARGETS]
        return overlaid(dict.fromkeys(names if self._endpoint else ()))

    def attempt(self, export: Callable[[], bool], *, signal: Signal) -> bool:
        """Run an export; record and return whether it succeeded. If the target is closed, only return False."""
        if self.closed:
            return False
        try:
            succeeded = export()
        except Exception as error:  # noqa: BLE001 - nothing that a sink does may leave its thread
            self.outage.failed(type(error).__name__, signal=signal)
            return False
        if succeeded:
            self.outage.worked(signal=signal)
        elif not self.closed:
            self.outage.failed(REASON, signal=signal)
        return succeeded


def metrics_to(targets: Sequence[Target]) -> MetricExporter:
    """Return a single exporter of metrics to all targets, so that each figure is collected only once."""
    exporters = [target.metrics() for target in targets]
    return exporters[0] if len(exporters) == 1 else _MetricsToAll(exporters)


class _Spans(SpanExporter):
    def __init__(self, inner: OTLPSpanExporter, target: Target) -> None:
        self._inner = inner
        self._target = target
        # The SDK's internal metrics need the exporter's own `export`, which is slower but counts what it sends.
        counts = environment().get("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "").strip().lower() == "true"
        self._send_encoded = None if counts else send_encoded(inner)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        done = self._target.attempt(lambda: self._send(spans), signal="traces")
        return SpanExportResult.SUCCESS if done else SpanExportResult.FAILURE

    def _send(self, spans: Sequence[ReadableSpan]) -> bool:
        if self._send_encoded is None:
            return self._inner.export(spans) is SpanExportResult.SUCCESS
        return self._send_encoded(encode(spans))

    def shutdown(self) -> None:
        self._inner.shutdown()  # type: ignore[no-untyped-call]


class _Metrics(MetricExporter):
    def __init__(self, inner: OTLPMetricExporter, target: Target) -> None:
        super().__init__(**preferences(inner))
        self._inner = inner
        self._target = target

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        def export() -> bool:
            result = self._inner.export(masked(metrics_data), timeout_millis=TIMEOUT_SECONDS * 1000)
            return result is MetricExportResult.SUCCESS

        return (
            MetricExportResult.SUCCESS if self._target.attempt(export, signal="metrics") else MetricExportResult.FAILURE
        )

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self._inner.shutdown(timeout_millis=timeout_millis)


class _MetricsToAll(MetricExporter):
    """Passes the metrics to each exporter in a separate thread, so that a slow exporter does not delay the others."""

    def __init__(self, exporters: Sequence[_Metrics]) -> None:
        # All exporters have the same preferences, from the standard variables.
        super().__init__(**preferences(exporters[0]))
        self._sending: dict[_Metrics, list[threading.Thread]] = {exporter: [] for exporter in exporters}

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        for exporter, earlier in self._sending.items():
            running = self._sending[exporter] = [thread for thread in earlier if thread.is_alive()]
            if len(running) >= MOST_SENDING:
                continue
            # The copied context keeps the export's own requests from becoming spans.
            run = copy_context().run
            thread = threading.Thread(target=run, args=(exporter.export, metrics_data), name="metrics", daemon=True)
            thread.start()
            running.append(thread)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Wait for running exports, and close all exporters."""
        # The SDK's reader passes its time limit as `timeout`, not as `timeout_millis`.
        deadline = time.monotonic() + kwargs.get("timeout", timeout_millis) / 1000
        for thread in [thread for running in self._sending.values() for thread in running]:
            thread.join(max(0.0, deadline - time.monotonic()))
        for exporter in self._sending:
            exporter.shutdown(timeout_millis=max(0.0, (deadline - time.monotonic()) * 1000))
