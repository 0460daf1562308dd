"""Read Loguru's handlers and its patcher from its private core, and keep Loguru from waiting when the process exits."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Mapping
from typing import Any

from loguru import logger

# The core never changes while the process runs, so it is looked up only once.
_core: Any = getattr(logger, "_core", None)


def handlers() -> Mapping[int, object] | None:
    """Return a mapping from each handler's number to the handler; None if this release of Loguru does not expose it."""
    found: Mapping[int, object] | None = getattr(_core, "handlers", None)
    return found


def patcher(missing: Any = None) -> Any:
    """Return the function that patches each record, or `missing` if this release does not expose it."""
    return getattr(_core, "patcher", missing)


def added_again(number: int, add: Callable[[], int]) -> tuple[bool, int]:
    """Add a handler again if it was removed; return whether it was removed, and its current number.

    If this release does not show its handlers, an existing handler is replaced by a new one: `logger.remove` is the only
    public way to find out whether it exists.
    """
    shown = handlers()
    if shown is not None:
        return (False, number) if number in shown else (True, add())
    try:
        logger.remove(number)
    except ValueError:
        return True, add()
    return False, add()


def leave_at_exit() -> None:
    """Prevent Loguru from waiting for its handlers when the process exits. That wait has no timeout.

    Loguru registers `logger.remove` with `atexit`, and this function unregisters it. If a release of Loguru registers
    another function, Loguru still waits.
    """
    atexit.unregister(logger.remove)
