"""Private parts of OpenTelemetry's API, its SDK and its OTLP exporter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics.export import MetricExporter

_UNKNOWN = object()


def provider_may_be_set() -> bool:
    """Return False if no global tracer provider is set, and True if one is set or may be set.

    Call the public `trace.get_tracer_provider()` only after a True: as long as no provider is set, each call of it
    searches the environment. OpenTelemetry keeps the provider in a private variable. If a release of OpenTelemetry has
    no such variable, the result is always True.
    """
    return getattr(trace, "_TRACER_PROVIDER", _UNKNOWN) is not None


def send_encoded(exporter: OTLPSpanExporter) -> Callable[[bytes], bool] | None:
    """Return a function that sends encoded spans through the exporter's client and returns whether that succeeded.

    Returns None if the exporter has no such client. Then call the exporter's public `export`, which encodes the spans
    itself, but more slowly.
    """
    export = getattr(getattr(exporter, "_client", None), "export", None)
    return None if export is None else lambda encoded: bool(export(encoded).success)


def preferences(exporter: MetricExporter) -> dict[str, Any]:
    """Return the temporality and aggregation that an exporter prefers, as arguments for a wrapping exporter.

    A preference that the exporter does not have is None. Then the SDK's default applies: cumulative sums, or explicit
    histogram buckets.
    """
    names = ("preferred_temporality", "preferred_aggregation")
    return {name: getattr(exporter, f"_{name}", None) for name in names}


def plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a span's attributes as a dict.

    The SDK's mapping has a `copy` method that its public type lacks. Without that method, this function iterates over
    the mapping, which is many times slower.
    """
    try:
        copied: dict[str, Any] = attributes.copy()  # type: ignore[attr-defined]
    except AttributeError:
        return dict(attributes)
    return copied


def _no_cache(span: ReadableSpan) -> dict[str, Any]:
    return {}


cache_of: Callable[[ReadableSpan], dict[str, Any]] = vars if hasattr(ReadableSpan(""), "__dict__") else _no_cache
"""Return the dict in which the encoding of a span is cached: the span's `__dict__`.

If spans have no `__dict__`, the dict is a new one each time, so nothing is cached.
"""
