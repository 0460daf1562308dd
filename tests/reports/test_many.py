"""Reports count millions of turns: percentiles stay right, and memory stays small."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from layercode_app.percentiles import PERCENTILES, percentile
from layercode_app.reports.many import MOST_EXACT, Distinct, Values

MANY = 50_000


@pytest.mark.parametrize("count", [0, 1, MOST_EXACT - 1, MOST_EXACT * 3 + 5])
def test_percentiles_are_exact_for_few_and_near_for_many(count: int) -> None:
    chance = random.Random(count)
    given = [chance.lognormvariate(6, 1) for _ in range(count)]
    values = Values()
    for value in given:
        values.append(value)
    assert len(values) == count == len(list(values))
    assert bool(values) is bool(given)
    assert values.total == pytest.approx(sum(given))
    exact = pytest.approx if count >= MOST_EXACT else lambda value, rel: value
    for percent in PERCENTILES:
        assert percentile(values, percent) == exact(percentile(given, percent), rel=0.005)


def test_distinct_names_are_counted_once() -> None:
    names, chance = Distinct(), random.Random(1)
    known: set[str] = set()
    for _ in range(200_000):
        name = f"call-{chance.randrange(60_000)}"
        assert (name in names) == (name in known)
        names.add(name)
        known.add(name)
    assert len(names) == len(known)


def test_many_values_and_names_take_little_memory() -> None:
    tracemalloc.start()
    values, names, chance = Values(), Distinct(), random.Random(2)
    # Add only MANY values, because it is slow to trace each allocation. They are enough to show the difference.
    for number in range(MANY):
        values.append(chance.lognormvariate(6, 1))
        names.add(f"call-{number}")
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(values), len(names)) == (MANY, MANY)
    assert now < 1_000_000, "a list of the values and a set of the names take 7 MB"
