"""A steady clock in epoch seconds: the time of day when this process began, plus the time since then.

A change of the host's clock must not expire a lease or shift a retry. Use `time.time()` for times that people read and
for signatures.
"""

from __future__ import annotations

import time

_COUNTER = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that all processes of a host share. It also counts while the host sleeps, if the system has such a clock."""


def uptime() -> float:
    """Return the seconds since the host was started."""
    return time.clock_gettime(_COUNTER)


STARTED = time.time() - uptime()
"""The time at which the host was started, in epoch seconds, according to the host's clock when this process began."""


def now() -> float:
    """Return epoch seconds that stay steady if the host's clock is changed."""
    return STARTED + uptime()
