"""Cohen's kappa: the agreement of two people or judges beyond chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Return Cohen's kappa of pairs of answers; None if all answers are the same, because kappa is then undefined."""
    number = len(pairs)
    same = sum(one == other for one, other in pairs) / number
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    by_chance = sum(first[answer] * second[answer] for answer in first) / number**2
    return None if by_chance == 1 else (same - by_chance) / (1 - by_chance)


def agreement_of(pairs: Sequence[tuple[str, str]]) -> dict[str, float | None]:
    """Return the share of equal answers and Cohen's kappa, both rounded, for reports."""
    kappa = cohens_kappa(pairs)
    same = sum(one == other for one, other in pairs) / len(pairs)
    return {"agreement": round(same, 4), "kappa": None if kappa is None else round(kappa, 4)}
