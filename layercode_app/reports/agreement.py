"""How often judges agree with the people who reviewed the same calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..journal.record import Json, TurnRecord
from ..journal.review import REVIEW, judged
from ..judging.kappa import cohens_kappa


@dataclass
class Agreement:
    """The verdicts of people and of each judge on the same calls; answers of `maybe` are left out."""

    pairs: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, record: TurnRecord) -> None:
        """Count the answers of judges on a turn that a person has reviewed."""
        review = record.scores.get(REVIEW)
        if not isinstance(review, dict):
            return
        for name, value in judged(record).items():
            if isinstance(value, bool):
                self.pairs.setdefault(name, []).append((str(bool(review.get("value"))), str(value)))

    def as_json(self) -> list[dict[str, Json]]:
        """Return for each judge the number of reviews, the share of equal verdicts, and Cohen's kappa."""
        return [self._row(name, pairs) for name, pairs in sorted(self.pairs.items())]

    def _row(self, name: str, pairs: list[tuple[str, str]]) -> dict[str, Any]:
        same = sum(one == other for one, other in pairs) / len(pairs)
        kappa = cohens_kappa(pairs)
        rounded = None if kappa is None else round(kappa, 4)
        return {"judge": name, "reviews": len(pairs), "agreement": round(same, 4), "kappa": rounded}
