"""Compute how reliable an agent is: pass^k, pass rate, call length, cost, time to first word, interruptions."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from ...percentiles import percentile
from .chance import ALPHA, chance_of_difference, interval, pass_hats
from .played import Played


def reliability(played: Sequence[Played]) -> list[dict[str, Any]]:
    """Return the figures of each combination of agent and model. The combination that was played first comes first."""
    return [{"agent": agent, "model": model, **figures(runs)} for (agent, model), runs in _groups(played).items()]


def _groups(played: Sequence[Played]) -> dict[tuple[str, str], list[Played]]:
    groups: dict[tuple[str, str], list[Played]] = {}
    for one in played:
        groups.setdefault((one.agent, one.model), []).append(one)
    return groups


def figures(runs: Sequence[Played]) -> dict[str, Any]:
    """Return the figures of some runs: times in milliseconds, costs in dollars per call. Unknown values are None."""
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
    """Return (passed runs, all runs) for each combination of agent, scenario and model."""
    groups: dict[tuple[str, str, str], list[bool]] = {}
    for one in runs:
        groups.setdefault((one.agent, one.scenario, one.model), []).append(one.passed)
    return [(sum(passed), len(passed)) for passed in groups.values()]


def comparisons(played: Sequence[Played]) -> list[dict[str, Any]]:
    """Compare the pass rate of each later combination of agent and model with that of the first combination.

    The result has the difference of the pass rates, and whether it is more than chance. Only runs that both
    combinations have played are compared: scenarios are not equally hard, and if the budget ran out, one combination
    may have played fewer of them.
    """
    groups = list(_groups(played).items())
    found = []
    for (agent, model), runs in groups[1:]:
        (first_agent, first_model), first = groups[0]
        passed, before = _shared(runs, first), _shared(first, runs)
        if not passed:
            continue
        chance = chance_of_difference(sum(passed), len(passed), sum(before), len(before))
        found.append(
            {
                "agent": agent,
                "model": model,
                "than": {"agent": first_agent, "model": first_model},
                "runs": len(passed),
                "difference": round(sum(passed) / len(passed) - sum(before) / len(before), 4),
                "chance": round(chance, 4),
                "more_than_chance": chance <= ALPHA / (len(groups) - 1),
            }
        )
    return found


def _shared(runs: Sequence[Played], others: Sequence[Played]) -> list[bool]:
    """Return True or False (passed or not) for each run whose scenario and number also occur in `others`."""
    known = {(one.scenario, one.number) for one in others}
    return [one.passed for one in runs if (one.scenario, one.number) in known]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
