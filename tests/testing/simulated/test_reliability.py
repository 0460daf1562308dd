"""The functions for pass^k, intervals and comparisons return the same values as a computation by hand.

Two agents that are equally good are seldom reported as different.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from layercode_app.exceptions import ConfigurationError
from layercode_app.testing.evals import eval_report
from layercode_app.testing.evals.baseline import read_baseline, regressions
from layercode_app.testing.evals.chance import (
    chance_of_difference,
    chance_of_fewer,
    interval,
    more_than_chance,
    pass_hats,
)
from layercode_app.testing.evals.played import Played
from layercode_app.testing.evals.reliability import comparisons, figures
from layercode_app.testing.evals.reliability_report import compared


def runs(passed: int, number: int, scenario: str = "a", **values: Any) -> list[Played]:
    failed = [["no"] if place >= passed else [] for place in range(number)]
    return [Played(scenario, "", place, failures=why, agent="x", **values) for place, why in enumerate(failed)]


def test_pass_hat_k_is_unbiased_and_averaged_over_scenarios() -> None:
    # 3 of 4 passed: 3/4, C(3,2)/C(4,2) = 3/6, C(3,3)/C(4,3) = 1/4, 0. 4 of 4: always 1.
    assert pass_hats([(3, 4)]) == {"1": 0.75, "2": 0.5, "3": 0.25, "4": 0.0}
    assert pass_hats([(3, 4), (4, 4)]) == {"1": 0.875, "2": 0.75, "3": 0.625, "4": 0.5}
    assert pass_hats([(0, 2), (5, 5)]) == {"1": 0.5, "2": 0.5}
    assert pass_hats([]) == {}


@pytest.mark.parametrize(
    ("passed", "number", "expected"),
    [
        (8, 10, (0.4902, 0.9433)),
        (0, 10, (0.0, 0.2775)),
        (10, 10, (0.7225, 1.0)),
        (81, 263, (0.2553, 0.3662)),
        (0, 0, (0, 1)),
    ],
)
def test_the_interval_is_wilsons(passed: int, number: int, expected: tuple[float, float]) -> None:
    assert interval(passed, number) == pytest.approx(expected, abs=0.0001)


def test_fishers_exact_test_has_the_values_of_the_tea_tasting() -> None:
    # Fisher's example of the lady who tastes tea: 3 of 4 against 1 of 4. One-sided (1 + 16) / 70; two-sided, twice as
    # much.
    assert chance_of_fewer(1, 4, 3, 4) == pytest.approx(17 / 70)
    assert chance_of_difference(1, 4, 3, 4) == pytest.approx(34 / 70)
    assert chance_of_fewer(0, 3, 3, 3) == pytest.approx(1 / 20)
    assert chance_of_fewer(4, 4, 4, 4) == chance_of_difference(2, 5, 2, 5) == 1
    assert chance_of_difference(260, 520, 260, 520) == 1


def test_several_differences_share_the_error() -> None:
    assert more_than_chance([0.04]) == [True]
    assert more_than_chance([0.04, 0.5]) == [False, False]
    assert more_than_chance([0.02, 0.5, 0.001]) == [True, False, True]


def test_the_figures_of_runs() -> None:
    found = figures(
        [
            *runs(1, 2, turns=4, cost=0.02, helper_cost=0.01, interruptions=2, ttfs_ms=[100.0, 300.0]),
            *runs(2, 2, "b", turns=2, cost=0.04, interruptions=1, ttfs_ms=[200.0]),
        ]
    )
    assert found == {
        "runs": 4,
        "passed": 3,
        "pass_rate": 0.75,
        "interval": [0.3006, 0.9544],
        "pass^k": {"1": 0.75, "2": 0.5},
        "turns": 3,
        "cost": 0.03,
        "helper_cost": 0.005,
        "first_word_ms": {"p50": 200.0, "p95": 300.0},
        "interruptions": {"all": 6, "survived": 4},
    }
    assert figures(runs(1, 1, cost=None))["cost"] is None


def test_models_are_compared_with_the_first() -> None:
    played = [*runs(19, 20), *runs(5, 20), *runs(18, 20)]
    for one, model in zip(played, ["good"] * 20 + ["bad"] * 20 + ["other"] * 20, strict=True):
        one.model = model
    bad, other = comparisons(played)
    assert (bad["difference"], bad["more_than_chance"]) == (-0.7, True)
    assert (other["difference"], other["more_than_chance"]) == (-0.05, False)
    assert compared(bad) == "x bad passes 70 points less often than x good, more than chance"
    assert compared(other) == "x other passes 5 points less often than x good, which may be chance"


def test_only_runs_that_both_have_are_compared() -> None:
    first, second = [*runs(8, 8), *runs(0, 8, "hard")], runs(8, 8)
    for one in second:
        one.agent = "y"
    [row] = comparisons([*first, *second])
    assert (row["agent"], row["runs"], row["difference"], row["more_than_chance"]) == ("y", 8, 0, False)
    [cut] = comparisons([*runs(4, 8), *second[:4]])
    assert (cut["runs"], cut["difference"]) == (4, 0)
    assert comparisons([*runs(0, 8, "hard"), *second]) == []


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    return tmp_path / "baseline.json"


def worse(now: list[Played], before: list[Played], baseline: Path) -> list[str]:
    baseline.write_text(json.dumps(eval_report.summary(before)))
    return regressions(eval_report.summary(now), read_baseline(baseline))


def test_a_baseline_fails_only_what_is_worse_by_more_than_chance(baseline: Path) -> None:
    assert worse(runs(6, 8), runs(8, 8), baseline) == []
    assert worse(runs(8, 8), runs(2, 8), baseline) == []
    assert worse(runs(2, 8), runs(8, 8), baseline) == [
        "a: 2 of 8 passed, before 8 of 8; by chance alone this happens in 0.3% of comparisons"
    ]
    # The difference of one scenario may be chance. The same difference in all six scenarios cannot be chance.
    now = [run for name in "abcdef" for run in runs(5, 8, name)]
    before = [run for name in "abcdef" for run in runs(8, 8, name)]
    [line] = worse(now, before, baseline)
    assert line.startswith("all scenarios together: 30 of 48 passed, before 48 of 48; by chance alone")


def named(passed: list[int], number: int) -> list[Played]:
    return [run for place, one in enumerate(passed) for run in runs(one, number, f"s{place}")]


def test_each_scenario_is_held_to_its_own_runs(baseline: Path) -> None:
    broken = worse(named([0] * 6 + [1] * 14, 1), named([1] * 20, 1), baseline)
    assert len(broken) == 6
    assert all("there are too few runs" in line for line in broken)
    assert len(worse(named([0] + [2] * 9, 2), named([2] * 10, 2), baseline)) == 1
    [line] = worse(named([0] + [4] * 8, 4), named([4] * 9, 4), baseline)
    assert line.startswith("s0: 0 of 4 passed, before 4 of 4; by chance alone")
    assert worse(named([3] + [4] * 8, 4), named([4] * 9, 4), baseline) == []


@pytest.mark.parametrize(("now", "before"), [(2, 3), (0, 1), (0, 0)])
def test_a_seldom_passed_baseline_does_not_fail_by_chance(now: int, before: int, baseline: Path) -> None:
    assert worse(runs(now, 8), runs(before, 8), baseline) == []


def test_a_baseline_without_agents_is_read(baseline: Path) -> None:
    rows = eval_report.summary(runs(8, 8))
    baseline.write_text(json.dumps([{name: value for name, value in row.items() if name != "agent"} for row in rows]))
    assert regressions(eval_report.summary(runs(8, 8)), read_baseline(baseline)) == []
    assert len(regressions(eval_report.summary(runs(1, 8)), read_baseline(baseline))) == 1


def test_few_runs_and_new_scenarios_are_held_to_each_run(baseline: Path) -> None:
    assert worse(runs(1, 2), runs(2, 2), baseline) == [
        "a: 1 of 2 passed, before 2 of 2; there are too few runs to tell this from chance: use --repeat"
    ]
    assert worse(runs(1, 1), runs(1, 1), baseline) == []
    (line,) = worse(runs(3, 4, "new"), runs(4, 4), baseline)
    assert line == "new: 3 of 4 passed; it is not in the baseline, so every run must pass"
    with pytest.raises(ConfigurationError, match="expected a file written by --save"):
        read_baseline(baseline.parent / "none.json")


@pytest.mark.parametrize("rate", [0.5, 0.8, 0.95])
def test_equal_agents_are_called_different_in_at_most_5_percent_of_200_comparisons(rate: float, baseline: Path) -> None:
    random = Random(19)

    def evaluation(rate: float) -> list[Played]:
        return [run for name in "abcd" for run in runs(sum(random.random() < rate for _ in range(8)), 8, name)]

    wrong = sum(bool(worse(evaluation(rate), evaluation(rate), baseline)) for _ in range(200))
    different = 0
    for _ in range(200):
        played = [*evaluation(rate), *evaluation(rate)]
        for one in played[32:]:
            one.model = "other"
        different += comparisons(played)[0]["more_than_chance"]
    assert wrong <= 10
    assert different <= 10
    assert all(worse(evaluation(rate - 0.45), evaluation(rate + 0.04), baseline) for _ in range(5))


ROW = {"agent": "echo", "scenario": "a", "model": "", "runs": 3, "passed": 3}


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ({}, "the file: Input should be a valid array"),
        (5, "the file: Input should be a valid array"),
        ([{"scenario": "a", "model": ""}], "0 runs: Field required"),
        ([ROW, ROW | {"runs": 0, "passed": 0}], "1 runs: Input should be greater than 0"),
        ([ROW | {"runs": "3"}], "0 runs: Input should be a valid integer"),
        ([ROW | {"passed": -1}], "0 passed: Input should be greater than or equal to 0"),
        ([ROW | {"passed": 4}], "0: Value error, 4 of 3 runs passed; expected at most 3"),
        ([ROW | {"model": ["x"]}], "0 model: Input should be a valid string"),
    ],
)
def test_a_baseline_that_no_evaluation_wrote_is_refused(rows: object, wrong: str, baseline: Path) -> None:
    baseline.write_text(json.dumps(rows))
    with pytest.raises(ConfigurationError) as caught:
        read_baseline(baseline)
    assert f"--baseline {baseline}: expected a file written by --save ({wrong}" in str(caught.value)
