"""Statistics of passed runs: pass^k, an interval for the pass rate, and whether a difference is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt

ALPHA = 0.05
"""The significance level: equally good agents are reported as different in at most this share of comparisons."""
_Z = 1.959963984540054
"""The normal quantile of a 95 % interval."""


def pass_hat(passed: int, runs: int, k: int) -> float:
    """Return pass^k, the chance that k runs of a scenario all pass: C(passed, k) / C(runs, k), as in tau-bench."""
    return comb(passed, k) / comb(runs, k)


def pass_hats(scenarios: Sequence[tuple[int, int]]) -> dict[str, float]:
    """Return the mean pass^k of all scenarios, for each k up to the smallest number of runs of a scenario.

    Each scenario is given as (passed, runs).
    """
    most = min((runs for _, runs in scenarios), default=0)
    return {
        str(k): round(sum(pass_hat(passed, runs, k) for passed, runs in scenarios) / len(scenarios), 4)
        for k in range(1, most + 1)
    }


def interval(passed: int, runs: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of the pass rate; (0, 1) if there are no runs."""
    if not runs:
        return 0.0, 1.0
    rate, square = passed / runs, _Z * _Z
    middle = (rate + square / (2 * runs)) / (1 + square / runs)
    half = _Z * sqrt(rate * (1 - rate) / runs + square / (4 * runs * runs)) / (1 + square / runs)
    return max(0.0, round(middle - half, 4)), min(1.0, round(middle + half, 4))


def chance_of_fewer(passed: int, runs: int, before: int, runs_before: int) -> float:
    """Return the chance that an agent as good as before passes at most this often (one-sided Fisher's exact test)."""
    weights = _weights(runs, before + passed, runs_before)
    return sum(weight for number, weight in weights.items() if number <= passed) / sum(weights.values())


def chance_of_difference(passed: int, runs: int, other: int, runs_other: int) -> float:
    """Return the p-value of the two-sided Fisher's exact test.

    This is the chance that two equally good agents get these results, or any results that are not more likely.
    """
    weights = _weights(runs, other + passed, runs_other)
    return sum(weight for weight in weights.values() if weight <= weights[passed]) / sum(weights.values())


def _weights(runs: int, passed_together: int, runs_other: int) -> dict[int, int]:
    """Count the ways in which the passed runs can be divided between two agents.

    The first agent had `runs` runs, and the other agent had `runs_other` runs. Of all these runs, `passed_together`
    passed. Each key n of the result is a possible number of passed runs of the first agent. The value of n counts the
    ways to choose the passed runs so that n of them are runs of the first agent.
    """
    numbers = range(max(0, passed_together - runs_other), min(runs, passed_together) + 1)
    return {number: comb(runs, number) * comb(runs_other, passed_together - number) for number in numbers}


def more_than_chance(chances: Sequence[float]) -> list[bool]:
    """Return, for each difference, whether it is statistically significant. `chances` are the p-values.

    By Holm's method, the chance that one or more differences are wrongly called significant is at most ALPHA.
    """
    found = [False] * len(chances)
    for rank, place in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        if chances[place] > ALPHA / (len(chances) - rank):
            break
        found[place] = True
    return found
