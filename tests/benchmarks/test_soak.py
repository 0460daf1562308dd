"""The page of the soak is drawn, so that a quarter of an hour is not lost at its end."""

from __future__ import annotations

from benchmarks.soak import Course, page


def test_the_page_has_a_plot_and_a_bound_for_each_quantity() -> None:
    found = [Course("memory_mb", [100.0, 101.0, 101.0, 101.0], 110.0), Course("files", [10.0, 20.0, 30.0, 40.0], 12.0)]
    drawn = page("1,000 turns", found, 900.0)
    assert drawn.count("<svg") == 2
    assert "last quarter 101.0, bound 110.0" in drawn
    assert "last quarter 40.0, bound 12.0" in drawn
