"""Epoch seconds that do not jump: the time of day when this process began, plus what the system has counted since.

Whoever sets the clock of a host, by an hour or by ten minutes, must not free a lease or shift a retry. `time.time()` is for
what people read, and for signatures.
"""

from __future__ import annotations

import time

_COUNTER = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Counts while the host sleeps as well, and is the same for all processes of a host."""


def uptime() -> float:
    """Seconds since the host was started."""
    return time.clock_gettime(_COUNTER)


STARTED = time.time() - uptime()
"""When the host was started, by the time of day that this process began with."""


def now() -> float:
    """Epoch seconds that go on evenly, whatever becomes of the clock."""
    return STARTED + uptime()
