"""The report page of the soak benchmark can be drawn.

The benchmark runs for 15 minutes before it draws the page, so an error in the page would waste the whole run.
"""

from __future__ import annotations

from benchmarks.soak import Course, page


def test_the_page_has_a_plot_and_a_bound_for_each_quantity() -> None:
    found = [Course("memory_mb", [100.0, 101.0, 101.0, 101.0], 110.0), Course("files", [10.0, 20.0, 30.0, 40.0], 12.0)]
    drawn = page("1,000 turns", found, 900.0)
    assert drawn.count("<svg") == 2
    assert "last quarter 101.0, bound 110.0" in drawn
    assert "last quarter 40.0, bound 12.0" in drawn
