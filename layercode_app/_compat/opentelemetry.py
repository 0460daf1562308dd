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
    """Return whether the global tracer provider may have been set. OpenTelemetry keeps it in a private variable.

    The public `trace.get_tracer_provider()` searches the environment as long as no provider is set. So call it only if
    this function returns True. In a release of OpenTelemetry without the private variable, the result is always True.
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

    If they are missing, the SDK's defaults apply: cumulative sums and explicit histogram buckets.
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
"""Return the `__dict__` of a span, to cache its encoding in it. Spans without one are encoded each time."""
