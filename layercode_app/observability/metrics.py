"""Define the metrics in one table, and record them in every sink that is set up.

Names here are OpenTelemetry's; Prometheus gets them with underscores, units and `_total`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from ..journal.record import Status, ToolCall, TurnRecord
from .labels import Labels


@dataclass(frozen=True)
class Metric:
    """A metric with its label names. Each label may have only few different values, so ids are not allowed."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    description: str
    labels: tuple[str, ...] = ()
    unit: str = "1"


SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)

TURNS = Metric("layercode.turns", "counter", "Turns that ended.", ("agent", "kind", "status"))
ERRORS = Metric("layercode.errors", "counter", "Turns and data events with an error.", ("agent", "category", "impact"))
TTFT = Metric("layercode.turn.ttft", "histogram", "Time to first model token of answered turns.", ("agent",), "s")
TTFS = Metric("layercode.turn.ttfs", "histogram", "Time to first speech of answered turns.", ("agent",), "s")
DURATION = Metric("layercode.turn.duration", "histogram", "Time from request to end.", ("agent", "status"), "s")
ACTIVE = Metric("layercode.turns.active", "gauge", "Turns in progress.", ("agent",))
INTERRUPTIONS = Metric("layercode.interruptions", "counter", "Turns that the caller interrupted.", ("agent",))
TOOL_CALLS = Metric("layercode.tool.calls", "counter", "Tool calls that ended.", ("agent", "tool", "status"))
TOOL_DURATION = Metric("layercode.tool.duration", "histogram", "Duration of a tool call.", ("agent", "tool"), "s")
TOKENS = Metric("layercode.tokens", "counter", "Tokens by type.", ("agent", "model", "type"))
COST = Metric("layercode.cost", "counter", "Cost in dollars of requests with a known price.", ("agent", "model"))
HEDGES = Metric(
    "layercode.model.hedges",
    "counter",
    "Model requests sent a second time because the first was slow.",
    ("agent", "won"),
)
JUDGEMENTS = Metric("layercode.judgements", "counter", "Answers of live judges.", ("agent", "judge", "answer"))
RETRIES = Metric("layercode.model.retries", "counter", "Retries after model errors.", ("agent", "recovered"))
VALIDATION_RETRIES = Metric(
    "layercode.validation.retries",
    "counter",
    "Answers and tool calls that a validator or a tool rejected, so that the model tried again.",
    ("agent",),
)
REQUESTS = Metric("layercode.requests", "counter", "Answered HTTP requests.", ("method", "route", "status"))

TABLE = (
    TURNS, ERRORS, TTFT, TTFS, DURATION, ACTIVE, INTERRUPTIONS, TOOL_CALLS, TOOL_DURATION, TOKENS, COST, HEDGES,
    RETRIES, VALIDATION_RETRIES, JUDGEMENTS, REQUESTS,
)  # fmt: skip


Row: TypeAlias = tuple[Metric, float, tuple[str, ...]]
"""A metric, an amount to add or (for a histogram) to observe, and the label values in the order of the labels."""


class MetricSink(Protocol):
    """A sink that records metrics."""

    def add(self, rows: Sequence[Row]) -> None:
        """Record the rows. A row that cannot be recorded does not affect the other rows."""


_sinks: list[MetricSink] = []


def use(sinks: Sequence[MetricSink]) -> None:
    """Record metrics in these sinks from now on."""
    _sinks[:] = sinks


def on() -> bool:
    """Return whether any sink records metrics."""
    return bool(_sinks)


def add(metric: Metric, amount: float, *values: str) -> None:
    """Record an amount of a metric in every sink."""
    _tell([(metric, amount, values)])


def _tell(rows: Sequence[Row]) -> None:
    """Record measurements in every sink. A sink that fails is skipped."""
    for sink in _sinks:
        try:
            sink.add(rows)
        except Exception:  # noqa: BLE001, S112 - a lost figure must not end a call
            continue


def declare(agents: Iterable[str]) -> None:
    """Start each agent's count of failed turns at 0. If it started at 1, Prometheus's `rate()` would miss a failure."""
    _tell([(TURNS, 0, (agent, "message", "failed")) for agent in agents])


def count(name: str, amount: float = 1, **labels: str) -> None:
    """Count a custom metric: `turn.count("orders", size="large")`. Use few values per label, and no ids."""
    if _sinks:
        names = tuple(sorted(labels))
        metric = Metric(f"layercode.custom.{name}", "counter", f"Counted by an agent: {name}.", names)
        add(metric, amount, *(str(labels[label]) for label in names))


# --- metrics of a turn


def record_turn(record: TurnRecord) -> None:
    """Record the figures of a turn that ended. The journal, the log line and the span have the same figures."""
    if not _sinks:
        return
    agent, status, timings = record.agent, str(record.status), record.timings
    rows: list[Row] = [
        (TURNS, 1, (agent, str(record.kind), status)),
        (DURATION, timings.get("total", 0.0) / 1000, (agent, status)),
    ]
    rows += _latency_rows(record, agent, status)
    rows += _trouble_rows(record, agent)
    if record.tools:
        rows += _tool_rows(record)
    if record.usage or record.cost is not None:
        rows += _usage_rows(record)
    _tell(rows)


def _latency_rows(record: TurnRecord, agent: str, status: str) -> Iterator[Row]:
    """Yield a count for an interrupted turn, the latencies for an answered turn, and nothing for a failed turn."""
    if status in ("interrupted", "superseded"):
        yield INTERRUPTIONS, 1, (agent,)
    elif status != "failed":
        for metric, name in ((TTFT, "ttft"), (TTFS, "ttfs")):
            if name in record.timings:
                yield metric, record.timings[name] / 1000, (agent,)


def _trouble_rows(record: TurnRecord, agent: str) -> Iterator[Row]:
    if record.error_category:
        yield ERRORS, 1, (agent, record.error_category, record.impact)
    if record.retries:
        # A retry that got an answer has helped, even if the answer was cut at the model's length limit.
        yield RETRIES, record.retries, (agent, "false" if record.status is Status.FAILED else "true")
    sent, won = record.hedges
    for amount, label in ((won, "true"), (sent - won, "false")):
        if amount:
            yield HEDGES, amount, (agent, label)
    if again := record.usage.get("validation_retries"):
        yield VALIDATION_RETRIES, again, (agent,)


def record_usage(record: TurnRecord) -> None:
    """Record the usage and the error of an event that is not a turn, such as data that the caller's page sent."""
    if not _sinks:
        return
    rows = list(_usage_rows(record))
    if record.error_category:
        rows.append((ERRORS, 1, (record.agent, record.error_category, record.impact)))
    _tell(rows)


def record_tool(agent: str, call: ToolCall) -> None:
    """Record a tool call that ended after its turn."""
    if _sinks:
        _tell(list(_rows_of_call(agent, call)))


def _tool_rows(record: TurnRecord) -> Iterator[Row]:
    for call in record.tools:
        if call.status != "running":  # Otherwise it is recorded when it ends.
            yield from _rows_of_call(record.agent, call)


def _rows_of_call(agent: str, call: ToolCall) -> Iterator[Row]:
    yield TOOL_CALLS, 1, (agent, call.name, str(call.status))
    if call.ended_ms is not None:
        yield TOOL_DURATION, (call.ended_ms - call.started_ms) / 1000, (agent, call.name)


def _usage_rows(record: TurnRecord) -> Iterator[Row]:
    for share in record.shares:
        for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"):
            if tokens := share.usage.get(name):
                yield TOKENS, tokens, (record.agent, share.model, name.removesuffix("_tokens"))
        if share.cost is not None:
            yield COST, share.cost, (record.agent, share.model)


# --- OpenTelemetry


class OTelMetrics:
    """Records metrics with OpenTelemetry's global meter. Sums are kept here and read at each export."""

    def __init__(self) -> None:
        from opentelemetry.metrics import get_meter

        self._meter = get_meter("layercode_app")
        self._labels = Labels()
        self._histograms: dict[str, Any] = {}
        self._sums: dict[str, dict[tuple[str, ...], float]] = {}
        self._lock = threading.Lock()

    def add(self, rows: Sequence[Row]) -> None:
        """Record the rows. Instruments are created on first use."""
        for metric, amount, values in rows:
            # An agent may reuse a metric's name with different labels: drop only that figure.
            with suppress(Exception):
                self._add(metric, amount, values)

    def _add(self, metric: Metric, amount: float, values: tuple[str, ...]) -> None:
        values = self._labels.of(metric.name, values)
        if metric.kind == "histogram":
            record = self._histograms.get(metric.name) or self._make_histogram(metric)
            record(amount, dict(zip(metric.labels, values, strict=True)))
            return
        sums = self._sums.get(metric.name)
        if sums is None:
            sums = self._make_sum(metric)
        # A synchronous tool runs in a separate thread, and may count a metric there.
        with self._lock:
            sums[values] = sums.get(values, 0) + amount

    def _make_histogram(self, metric: Metric) -> Any:
        made = self._meter.create_histogram(
            metric.name, unit=metric.unit, description=metric.description, explicit_bucket_boundaries_advisory=SECONDS
        )
        self._histograms[metric.name] = made.record
        return made.record

    def _make_sum(self, metric: Metric) -> dict[tuple[str, ...], float]:
        from opentelemetry.metrics import CallbackOptions, Observation

        sums: dict[tuple[str, ...], float] = {}

        def observe(options: CallbackOptions) -> list[Observation]:
            return [Observation(value, dict(zip(metric.labels, key, strict=True))) for key, value in list(sums.items())]

        make = (
            self._meter.create_observable_up_down_counter
            if metric.kind == "gauge"
            else self._meter.create_observable_counter
        )
        make(metric.name, callbacks=[observe], unit=metric.unit, description=metric.description)
        self._sums[metric.name] = sums
        return sums
