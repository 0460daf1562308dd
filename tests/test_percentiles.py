"""Percentiles are computed in the same way everywhere."""

from __future__ import annotations

import re

import pytest

from layercode_app.percentiles import percentile, percentiles

from .imports import PACKAGE, modules


def test_a_percentile_is_interpolated_between_neighbours() -> None:
    assert percentile([], 50) is None
    assert percentile([10.0], 99) == 10.0
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.5
    assert percentile([float(n) for n in range(101)], 95) == 95.0


def test_percentiles_are_rounded() -> None:
    values = [float(n) for n in range(1, 101)]
    assert percentiles(values, digits=2) == {"p50": 50.5, "p90": 90.1, "p95": 95.05, "p99": 99.01}
    assert percentiles([0.26], digits=1)["p99"] == pytest.approx(0.3)
    assert percentiles([])["p50"] is None


def test_no_module_has_percentiles_of_its_own() -> None:
    """`p95` means the same on every page, because only `percentiles.py` computes percentiles.

    The test searches the package for functions with a name like `percentiles`, and for uses of `statistics.quantiles`.
    It also finds a function in `reports/figures.py` and one in `watch/metrics.py`. Both functions only call functions
    of `percentiles.py`.
    """
    pattern = re.compile(r"def \w*percentiles?\(|statistics import .*quantiles|\.quantiles\(")
    found = {name for name, _ in modules() if pattern.search((PACKAGE / name).read_text(encoding="utf-8"))}
    assert found == {"percentiles.py", "reports/figures.py", "watch/metrics.py"}
