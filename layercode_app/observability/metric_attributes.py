"""Mask the attributes of all metrics before the export, including metrics that the user's own code records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from opentelemetry.sdk.metrics.export import MetricsData

from .pipeline import clean_attributes


def masked(data: MetricsData) -> MetricsData:
    """Return the metrics with the attributes of their data points redacted like those of spans.

    Secrets and phone numbers are masked. Attributes with transcripts are removed, unless LAYERCODE_CAPTURE_CONTENT is
    true.
    """
    return replace(data, resource_metrics=[_inside(one, "scope_metrics", _of_scope) for one in data.resource_metrics])


def _of_scope(scope: Any) -> Any:
    return _inside(scope, "metrics", _of_metric)


def _of_metric(metric: Any) -> Any:
    return replace(metric, data=_inside(metric.data, "data_points", _of_point))


def _of_point(point: Any) -> Any:
    attributes: Mapping[str, Any] = point.attributes or {}
    cleaned = clean_attributes(attributes)
    return point if cleaned is attributes else replace(point, attributes=cleaned)


def _inside(outer: Any, name: str, change: Callable[[Any], Any]) -> Any:
    return replace(outer, **{name: list(map(change, getattr(outer, name)))})
