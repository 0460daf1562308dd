"""Write the page of metrics, spans and log fields."""

from __future__ import annotations

from layercode_app.observability.host_figures import TOTALS, host_figures
from layercode_app.observability.metric_sums import prometheus_name
from layercode_app.observability.metrics import TABLE

from ..markdown import code, escaped, table
from .telemetry_texts import ATTRIBUTES, FIELDS, SPANS

INTRODUCTION = """# Metrics, spans and log fields

[Observability](../observability.md) explains how to turn on the sinks, and what is masked.
"""


def page() -> str:
    """Return the page: tables of the metrics, the host's figures, the spans, their attributes and the log fields."""
    figures = host_figures()
    return "\n".join(
        [
            INTRODUCTION,
            "## Metrics\n",
            "Each label has few values. A histogram's unit is seconds.\n",
            table(
                ("name", "at /metrics", "kind", "labels", "meaning"),
                (
                    (code(one.name), code(prometheus_name(one)), one.kind, ", ".join(one.labels), one.description)
                    for one in TABLE
                ),
            ),
            'An agent\'s own count, `turn.count("orders")`, is `layercode.custom.orders`.\n',
            "## Host and process\n",
            table(
                ("name", "kind", "unit", "meaning"),
                (
                    (code(one.name), "counter" if one.name in TOTALS else "gauge", one.unit, one.description)
                    for one in figures
                ),
            ),
            "## Spans\n",
            _two("span", SPANS),
            (
                "PydanticAI's own spans (`invoke_agent`, `chat`, `execute_tool`) are children of these spans.\n"
                "They have no content unless `LAYERCODE_CAPTURE_CONTENT=true`.\n"
            ),
            "## Span attributes\n",
            _two("attribute", ATTRIBUTES),
            "## Log fields\n",
            "Each line in JSON has some of these fields, and the values that your own code binds with Loguru.\n",
            _two("field", FIELDS),
        ]
    )


def _two(name: str, texts: dict[str, str]) -> str:
    return table((name, "meaning"), ((code(key), escaped(text)) for key, text in texts.items()))
