"""Choose the turn that an alert links to: a failed, slow, expensive or recent one, depending on the rule's metric."""

from __future__ import annotations

from ..journal.cost import cost_of
from ..journal.record import Status, TurnRecord
from ..reports.figures import interrupted
from .rules import Rule


class Witness:
    """The turn that illustrates a rule best, of those seen so far."""

    def __init__(self, rule: Rule) -> None:
        self.trace_id = ""
        self._rule = rule
        self._weight = float("-inf")

    def look_at(self, record: TurnRecord) -> None:
        """Choose this turn if it has a trace and illustrates the rule better than the turn chosen so far."""
        weight = weight_of(self._rule, record)
        if weight is not None and record.trace_id and weight > self._weight:
            self._weight, self.trace_id = weight, record.trace_id


def weight_of(rule: Rule, record: TurnRecord) -> float | None:
    """Return how well a turn illustrates a rule (higher is better), or None if it does not illustrate the rule."""
    if rule.metric in ("errors", "error_rate", "recovery_rate"):
        wanted = record.error_category == rule.of if rule.of else record.status is Status.FAILED
        return record.started_at if wanted else None
    if rule.metric in ("interruptions", "interruption_rate"):
        return record.started_at if interrupted(record) else None
    if rule.metric == "count":
        return record.started_at if rule.of in record.counts else None
    if rule.metric == "cost":
        return cost_of(record).amount
    if rule.metric.endswith("tokens"):
        return float(sum(record.usage.get(name, 0) for name in ("input_tokens", "output_tokens")))
    if rule.metric.startswith("p") and rule.metric[1:].isdigit():
        return record.timings.get(rule.of or "total")
    return record.started_at
