"""Python's garbage collector, kept from looking again and again through what start-up made, which stays."""

from __future__ import annotations

import gc


def collect_rarely() -> None:
    """For a process that imports much: each of its many looks meanwhile would be a tenth of its start."""
    gc.set_threshold(20_000, 20, 50)


def spare_the_collector() -> None:
    """Keep what start-up made out of the garbage collector's sight: its full passes would stall calls."""
    gc.collect()
    gc.freeze()
    collect_rarely()
