"""Two turns change the same value: their changes are merged, or the newer turn's value is kept."""

from __future__ import annotations

from typing import Any

import pytest

from layercode_app.journal.merge_state import MISSING, merge

ROLL, CAKE = {"item": "roll", "count": 1}, {"item": "cake", "count": 1}
MERGED = [
    # before, this turn's value, the other turn's value, the result
    ([], ["rolls"], ["buns"], ["buns", "rolls"]),
    (["a"], ["a", "b"], [], ["b"]),
    (["a", "b"], ["b"], ["a", "b", "c"], ["b", "c"]),
    (["a"], ["a", "a"], ["a", "b"], ["a", "b", "a"]),
    (["a", "b"], ["a"], ["b"], []),
    ([], ["a", "b"], ["a"], ["a", "b"]),
    ([ROLL], [ROLL | {"count": 2}], [ROLL, CAKE], [ROLL | {"count": 2}, CAKE]),
    ({}, {"rolls": 1}, {"buns": 2}, {"buns": 2, "rolls": 1}),
    ({"a": 1, "b": 1}, {"a": 1}, {"a": 2, "b": 1}, {"a": 2}),
    ({"a": [1]}, {"a": [1, 2]}, {"a": [1], "b": 1}, {"a": [1, 2], "b": 1}),
    ([ROLL], [ROLL | {"count": 2}], [dict(reversed(ROLL.items()))], [ROLL | {"count": 2}]),
    ([ROLL], [ROLL | {"count": 2}], [dict(reversed(ROLL.items())), CAKE], [ROLL | {"count": 2}, CAKE]),
    # Items keep their places.
    ([9, 17], [10, 17], [9, 18], [10, 18]),
    (["free", "free"], ["Ann", "free"], ["free", "free", "free"], ["Ann", "free", "free"]),
    (
        [ROLL, CAKE],
        [ROLL | {"count": 2}, CAKE],
        [ROLL, CAKE | {"count": 5}],
        [ROLL | {"count": 2}, CAKE | {"count": 5}],
    ),
    ([1, 2, 3], [3, 2, 1], [1, 2, 3, 4], [3, 2, 1, 4]),
    # Items of a set are added at any place.
    (["b"], ["a", "b"], ["b", "c"], ["b", "c", "a"]),
    # The other value is an earlier merge, which was saved although its answer was lost.
    ([], ["coffee"], ["tea", "coffee"], ["tea", "coffee"]),
    ([], ["coffee", "cake"], ["tea", "coffee"], ["tea", "coffee", "cake"]),
    ({"a": []}, {"a": ["coffee"]}, {"a": ["tea", "coffee"]}, {"a": ["tea", "coffee"]}),
    (1, 2, 1, 2),
    (1, 1, 2, 2),
    (1, 2, 2, 2),
    (MISSING, 1, MISSING, 1),
    (1, MISSING, 1, MISSING),
]
CONFLICTS = [
    (1, 2, 3),
    (False, True, 1),
    (None, {"a": 1}, {"b": 1}),
    (MISSING, ["a"], ["b"]),
    (1, MISSING, 2),
    ([1.5, 2.5], [3.5, 4.5], [5.5, 6.5]),
    ([ROLL], [ROLL | {"count": 2}], [ROLL | {"count": 3}]),
    ([ROLL, CAKE], [ROLL | {"count": 2}, CAKE], [CAKE]),
    ([ROLL, CAKE], [CAKE, ROLL], [ROLL, CAKE | {"count": 5}]),
    (["a", "b"], ["c", "a", "b"], ["a", "d"]),
]


@pytest.mark.parametrize("wins", [True, False])
@pytest.mark.parametrize(("base", "mine", "theirs", "merged"), MERGED)
def test_both_changes_are_kept(base: Any, mine: Any, theirs: Any, merged: Any, wins: bool) -> None:
    assert merge(base, mine, theirs, wins=wins) == (merged, False)


@pytest.mark.parametrize(("base", "mine", "theirs"), CONFLICTS)
def test_a_value_that_both_replaced_is_one_of_theirs(base: Any, mine: Any, theirs: Any) -> None:
    assert merge(base, mine, theirs, wins=True) == (mine, True)
    assert merge(base, mine, theirs, wins=False) == (theirs, True)


@pytest.mark.parametrize("wins", [True, False])
def test_one_key_that_both_replaced_does_not_affect_the_others(wins: bool) -> None:
    merged = {"a": 2 if wins else 3, "b": 1, "c": 1}
    assert merge({"a": 1}, {"a": 2, "b": 1}, {"a": 3, "c": 1}, wins=wins) == (merged, True)


@pytest.mark.parametrize("value", [{"a": 1}, ["a"]])
def test_values_that_cannot_be_merged_are_kept_whole(value: Any) -> None:
    empty = type(value)()
    other = {"b": 1} if value == {"a": 1} else ["b"]
    assert merge(empty, value, other, wins=False, deep=False) == (other, True)
