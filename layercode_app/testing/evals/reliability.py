"""How reliable an agent is: pass^k, the pass rate with its interval, length, cost, first word, interruptions."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from ...percentiles import percentile
from .chance import ALPHA, chance_of_difference, interval, pass_hats
from .played import Played


def reliability(played: Sequence[Played]) -> list[dict[str, Any]]:
    """Return the figures of each agent and model, in the order they were played."""
    groups: dict[tuple[str, str], list[Played]] = {}
    for one in played:
        groups.setdefault((one.agent, one.model), []).append(one)
    return [{"agent": agent, "model": model, **figures(runs)} for (agent, model), runs in groups.items()]


def figures(runs: Sequence[Played]) -> dict[str, Any]:
    """Return the figures of some runs. Times are in milliseconds, costs in dollars per call, and None if unknown."""
    passed = sum(one.passed for one in runs)
    times = [time for one in runs for time in one.ttfs_ms]
    costs = [one.cost for one in runs]
    return {
        "runs": len(runs),
        "passed": passed,
        "pass_rate": round(passed / len(runs), 4) if runs else None,
        "interval": list(interval(passed, len(runs))),
        "pass^k": pass_hats(counts(runs)),
        "turns": round(fmean(one.turns for one in runs), 2) if runs else None,
        "cost": None if None in costs or not runs else round(fmean(cost or 0.0 for cost in costs), 6),
        "helper_cost": round(fmean(one.helper_cost for one in runs), 6) if runs else None,
        "first_word_ms": {f"p{percent}": _rounded(percentile(times, percent)) for percent in (50, 95)},
        "interruptions": {
            "all": sum(one.interruptions for one in runs),
            "survived": sum(one.interruptions for one in runs if one.passed),
        },
    }


def counts(runs: Sequence[Played]) -> list[tuple[int, int]]:
    """Return how many runs of each scenario and model passed, and how many there were."""
    groups: dict[tuple[str, str, str], list[bool]] = {}
    for one in runs:
        groups.setdefault((one.agent, one.scenario, one.model), []).append(one.passed)
    return [(sum(passed), len(passed)) for passed in groups.values()]


def comparisons(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare each agent and model with the first: the difference of pass rates, and whether it is more than chance."""
    found = []
    for row in rows[1:]:
        chance = chance_of_difference(row["passed"], row["runs"], rows[0]["passed"], rows[0]["runs"])
        found.append(
            {
                "agent": row["agent"],
                "model": row["model"],
                "than": {"agent": rows[0]["agent"], "model": rows[0]["model"]},
                "difference": round(row["pass_rate"] - rows[0]["pass_rate"], 4),
                "chance": round(chance, 4),
                "more_than_chance": chance <= ALPHA / max(1, len(rows) - 1),
            }
        )
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
