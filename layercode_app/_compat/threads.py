"""Private parts of the standard library's threads."""

from __future__ import annotations

import threading
from concurrent.futures import thread


def in_pool() -> bool:
    """Return whether the current thread is a worker of a `ThreadPoolExecutor`.

    If the private function that these workers run is missing, they are recognised by their default names.
    """
    current = threading.current_thread()
    work = getattr(thread, "_worker", None)
    if work is None or not hasattr(current, "_target"):
        return current.name.startswith(("ThreadPoolExecutor-", "asyncio_"))
    return current._target is work
