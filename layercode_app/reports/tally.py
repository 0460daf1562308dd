"""Count a group of turns, such as all turns of an agent or a day."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from ..journal.cost import Cost, cost_of
from ..journal.model_usage import Share
from ..journal.record import Json, Kind, Status, TurnRecord
from .figures import LATENCIES, TOKENS, counted_percentiles, interrupted, recorded_number, refused
from .hedges import Hedges
from .many import Distinct, Values

SLICES = ("all", "first", "with tools", "without tools", "greetings", "interrupted")
"""The groups of latencies. `all` holds every complete answer to the caller.

`first` holds the first of these answers in each conversation. `with tools` and `without tools` together hold the same
answers as `all`. Greetings and interrupted turns are not in `all`, but have groups of their own. Failed and refused
turns are in no group.
"""


@dataclass
class Outcome:
    """How often an outcome was recorded, and the sum of the values that were recorded with it."""

    count: int = 0
    value: float = 0.0


@dataclass
class Scores:
    """One quality score over many turns: its values as numbers, for the mean, and how often each value was given."""

    numbers: Values = field(default_factory=Values)
    values: Counter[str] = field(default_factory=Counter)

    @property
    def mean(self) -> float | None:
        """The mean of the scores that are numbers; None if there are none."""
        if not self.numbers:
            return None
        count, total = len(self.numbers), self.numbers.total
        # The sum of very large numbers is infinite, but their mean is not.
        return total / count if math.isfinite(total) else sum(number / count for number in self.numbers)

    def add(self, value: Json) -> None:
        """Count one score; true counts as 1, false as 0."""
        if isinstance(value, bool | int | float):
            self.numbers.append(float(value))
        self.values[f"{value:g}" if isinstance(value, float) else str(value)] += 1


@dataclass
class Tally:
    """The counts of a group of turns."""

    key: str
    turns: int = 0
    helped: int = 0
    """In the tally of a model: the turns in which only helper agents called this model. They count in the `turns` of
    the model that answered."""
    interrupted: int = 0
    failed: int = 0
    refused: int = 0
    retried: int = 0
    recovered: int = 0
    tool_calls: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    cost: Cost = field(default_factory=Cost)
    errors: Counter[str] = field(default_factory=Counter)
    impacts: Counter[str] = field(default_factory=Counter)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    scores: dict[str, Scores] = field(default_factory=dict)
    hedges: Hedges = field(default_factory=Hedges)
    counts: Counter[str] = field(default_factory=Counter)
    """What the agents counted with `turn.count`."""
    conversations: Distinct = field(default_factory=Distinct)
    successful: Distinct = field(default_factory=Distinct)
    latencies: dict[tuple[str, str], Values] = field(default_factory=dict)
    """Milliseconds by metric and slice."""

    def add(self, record: TurnRecord, *, first: bool = False, share: Share | None = None) -> None:
        """Count a turn. For an event with data from the page, count only its usage and quality.

        `first` marks the first answer in its conversation. If `share` is given, its usage is counted instead of the
        record's whole usage.
        """
        self.conversations.add(record.conversation_id)
        self._count_usage(share or record)
        self._count_quality(record)
        if record.kind is Kind.DATA:
            return
        self.turns += 1
        self.tool_calls += len(record.tools)
        self._count_ending(record)
        self._time(record, first)

    def add_helper(self, share: Share) -> None:
        """Count a model's usage in a turn in which only helper agents called the model, and not the agent itself."""
        self.helped += 1
        self._count_usage(share)

    def _count_usage(self, part: TurnRecord | Share) -> None:
        self.cost += cost_of(part)
        for name in TOKENS:
            self.tokens[name] += part.usage.get(name, 0)

    def _count_ending(self, record: TurnRecord) -> None:
        self.interrupted += interrupted(record)
        self.refused += refused(record)
        failed = record.status is Status.FAILED
        self.failed += failed
        if record.error_category:
            self.errors[record.error_category] += 1
        if record.impact != "nothing":
            self.impacts[record.impact] += 1
        if record.retries:
            self.retried += 1
            self.recovered += not failed
        self.hedges.add(record)

    def _count_quality(self, record: TurnRecord) -> None:
        for given in record.outcomes:
            outcome = self.outcomes.setdefault(str(given.get("name")), Outcome())
            outcome.count += 1
            outcome.value += recorded_number(given.get("value"))
            self.successful.add(record.conversation_id)
        for name, amount in record.counts.items():
            self.counts[name] += recorded_number(amount)  # type: ignore[assignment]
        for name, score in record.scores.items():
            self.scores.setdefault(name, Scores()).add(score.get("value") if isinstance(score, dict) else score)

    def _time(self, record: TurnRecord, first: bool) -> None:
        if refused(record) or record.status is Status.FAILED:
            # The speech was a refusal or an apology, so its latency says nothing about answers.
            return
        if interrupted(record):
            slices = ["interrupted"]
        elif record.kind is Kind.GREETING:
            slices = ["greetings"]
        else:
            slices = ["all", "with tools" if record.tools else "without tools"] + (["first"] if first else [])
        for metric in LATENCIES:
            if (value := record.timings.get(metric)) is not None:
                for part in slices:
                    self.latencies.setdefault((metric, part), Values()).append(value)

    @property
    def error_rate(self) -> float:
        """The share of turns that failed."""
        return self.failed / self.turns if self.turns else 0.0

    @property
    def recovery_rate(self) -> float | None:
        """The number of turns that a retry saved, divided by the number of saved and failed turns together.

        None if there are no such turns.
        """
        troubled = self.recovered + self.failed
        return self.recovered / troubled if troubled else None

    @property
    def interruption_rate(self) -> float:
        """The share of turns that were cut short, for example because the caller interrupted."""
        return self.interrupted / self.turns if self.turns else 0.0

    @property
    def success_rate(self) -> float | None:
        """The number of conversations with a recorded outcome, divided by the number of all conversations.

        None if no conversation has an outcome.
        """
        return len(self.successful) / len(self.conversations) if self.outcomes else None

    def times(self, metric: str, part: str = "all") -> Collection[float]:
        """Return a metric's values, in milliseconds, for the turns of the slice whose name is `part` (see SLICES)."""
        return self.latencies.get((metric, part), ())

    def as_json(self) -> Json:
        """Return the group as JSON. `unknown_cost_requests` is the number of model requests that `cost` leaves out."""
        return {
            "key": self.key,
            "turns": self.turns,
            "helped": self.helped,
            "conversations": len(self.conversations),
            "interrupted": self.interrupted,
            "failed": self.failed,
            "refused": self.refused,
            "error_rate": round(self.error_rate, 4),
            "errors": dict(self.errors),
            "impact": dict(self.impacts),
            "retried": self.retried,
            "recovered": self.recovered,
            "recovery_rate": self.recovery_rate,
            "hedges": self.hedges.as_json(),
            "tool_calls": self.tool_calls,
            "tokens": dict(self.tokens),
            "cost": rounded(self.cost),
            "unknown_cost_requests": self.cost.unknown,
            "success_rate": None if self.success_rate is None else round(self.success_rate, 4),
            "outcomes": {name: self._outcome(outcome) for name, outcome in self.outcomes.items()},
            "counts": dict(self.counts),
            "scores": {name: _scores(scores) for name, scores in self.scores.items()},
            "latency_ms": {
                metric: {
                    part: counted_percentiles(self.times(metric, part)) for part in SLICES if self.times(metric, part)
                }
                for metric in LATENCIES
            },
        }

    def cost_per(self, outcome: Outcome) -> Cost:
        """Return the cost per outcome: the cost of all turns of the group, divided by the outcome's count."""
        return Cost(self.cost.amount / outcome.count if outcome.count else 0.0, self.cost.unknown)

    def _outcome(self, outcome: Outcome) -> Json:
        cost = self.cost_per(outcome)
        return {"count": outcome.count, "value": outcome.value, "cost_each": None if cost.unknown else cost.amount}


def rounded(cost: Cost) -> float | None:
    """Return dollars rounded to a millionth; None if no cost is known."""
    return None if cost.known is None else round(cost.known, 6)


def _scores(scores: Scores) -> Json:
    return {"n": scores.values.total(), "mean": scores.mean, "values": dict(scores.values)}
