"""Tune Python's garbage collector, so that it does not repeatedly scan the objects made at start-up."""

from __future__ import annotations

import gc


def collect_rarely() -> None:
    """Raise the thresholds of Python's garbage collector.

    With the default thresholds, garbage collection during the imports would take a tenth of the start-up time.
    """
    gc.set_threshold(20_000, 20, 50)


def spare_the_collector() -> None:
    """Exclude the objects made at start-up from garbage collection: full collections of them would stall calls."""
    gc.collect()
    gc.freeze()
    collect_rarely()
