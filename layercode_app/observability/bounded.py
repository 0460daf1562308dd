"""Run several callables in parallel with a timeout."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence


def wait_for(calls: Sequence[Callable[[], object]], seconds: float) -> None:
    """Run each call in a daemon thread and wait up to `seconds` in total. Unfinished calls end with the process."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
