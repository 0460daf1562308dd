"""Private parts of the standard library's thread pools."""

from __future__ import annotations

import threading
from concurrent.futures import thread

_UNKNOWN = object()


def in_pool() -> bool:
    """Return whether the current thread is a worker of a `ThreadPoolExecutor`.

    If the private mapping of these workers is missing, the workers are recognised by their default names.
    """
    current = threading.current_thread()
    workers = getattr(thread, "_threads_queues", _UNKNOWN)
    if workers is _UNKNOWN:
        return current.name.startswith(("ThreadPoolExecutor-", "asyncio_"))
    return current in workers  # type: ignore[operator]
