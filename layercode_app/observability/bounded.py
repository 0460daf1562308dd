"""Do several things at once, and wait for them no longer than so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence


def wait_for(calls: Sequence[Callable[[], object]], seconds: float) -> None:
    """Run each call in a thread of its own; those that are not done in time are left behind, and end with the process."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
