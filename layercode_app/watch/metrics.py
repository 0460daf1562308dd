"""The metrics of alert rules: each computes its value from the turns of a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..percentiles import percentile
from ..reports.figures import LATENCIES
from ..reports.tally import Tally

REFUSALS = ("bad_signatures", "authorize_refusals")
"""Metrics of refused requests. These are not turns, so `refusals.py` counts them separately."""
SYSTEM = ("cpu", "memory", "disk", "network")
"""Host metrics, which are sampled and not computed from turns; see `system.py`."""
VOLUMES = ("turns", "cost", "tokens", "input_tokens", "output_tokens")
"""Metrics that fall when fewer turns arrive.

Without turns, alerts on these metrics recover. Alerts on other metrics that are computed from turns keep firing.
"""
Value: TypeAlias = float | None
Reader: TypeAlias = Callable[[Tally, str], Value]


@dataclass(frozen=True)
class Metric:
    """The computation of a metric. If `grows` is true, the metric is a sum, which grows with the window's length."""

    read: Reader
    grows: bool = False
    arguments: tuple[str, ...] | None = ()
    """The arguments allowed in the metric's brackets. None allows any argument; an empty tuple allows no argument."""


def _percentile(percent: int) -> Metric:
    return Metric(lambda tally, of: percentile(tally.times(of or "total"), percent), arguments=("", *LATENCIES))


def _mean(tally: Tally, name: str) -> Value:
    score = tally.scores.get(name or "feedback")
    return score.mean if score else None


def _rate(count: Callable[[Tally], float]) -> Reader:
    return lambda tally, _: count(tally) / tally.turns if tally.turns else None


def _outcomes(tally: Tally, name: str) -> Value:
    found = tally.outcomes.values() if not name else [o for n, o in tally.outcomes.items() if n == name]
    return float(sum(outcome.count for outcome in found))


METRICS: Mapping[str, Metric] = {
    "turns": Metric(lambda tally, _: float(tally.turns), grows=True),
    "errors": Metric(lambda tally, of: float(tally.errors[of] if of else tally.failed), grows=True, arguments=None),
    "error_rate": Metric(_rate(lambda tally: tally.failed)),
    "interruptions": Metric(lambda tally, _: float(tally.interrupted), grows=True),
    "interruption_rate": Metric(_rate(lambda tally: tally.interrupted)),
    "refused_turns": Metric(lambda tally, _: float(tally.refused), grows=True),
    "recovery_rate": Metric(lambda tally, _: tally.recovery_rate),
    "tokens": Metric(lambda tally, _: float(tally.tokens["input_tokens"] + tally.tokens["output_tokens"]), grows=True),
    "input_tokens": Metric(lambda tally, _: float(tally.tokens["input_tokens"]), grows=True),
    "output_tokens": Metric(lambda tally, _: float(tally.tokens["output_tokens"]), grows=True),
    "cost": Metric(lambda tally, _: tally.cost.amount, grows=True),
    "unknown_cost_requests": Metric(lambda tally, _: float(tally.cost.unknown), grows=True),
    "tool_calls": Metric(lambda tally, _: float(tally.tool_calls), grows=True),
    "success_rate": Metric(lambda tally, _: tally.success_rate),
    "outcomes": Metric(_outcomes, grows=True, arguments=None),
    "score": Metric(_mean, arguments=None),
    "count": Metric(lambda tally, of: float(tally.counts[of]), grows=True, arguments=None),
    **{f"p{percent}": _percentile(percent) for percent in (50, 90, 95, 99)},
    # These metrics are not computed from turns; see `refusals.py` and `system.py`.
    **{name: Metric(lambda tally, _: None, grows=True) for name in REFUSALS},
    **{name: Metric(lambda tally, _: None) for name in SYSTEM},
}
