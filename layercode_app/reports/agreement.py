"""Measure how often judges agree with the people who reviewed the same calls."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..journal.record import Json, TurnRecord
from ..journal.review import REVIEW, judged
from ..judging.kappa import agreement_of


@dataclass
class Agreement:
    """The verdicts of each judge and of people on the same turns. A judge's `maybe` is not counted."""

    pairs: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, record: TurnRecord) -> None:
        """Count the judges' answers about a turn, if a person has reviewed it."""
        review = record.scores.get(REVIEW)
        if not isinstance(review, dict):
            return
        for name, value in judged(record).items():
            if isinstance(value, bool):
                self.pairs.setdefault(name, []).append((str(bool(review.get("value"))), str(value)))

    def as_json(self) -> list[dict[str, Json]]:
        """Return for each judge the number of reviews, the share of equal verdicts, and Cohen's kappa."""
        found = sorted(self.pairs.items())
        return [{"judge": name, "reviews": len(pairs), **agreement_of(pairs)} for name, pairs in found]
