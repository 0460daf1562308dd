"""Loguru's handlers and its patcher, which only its private core knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from loguru import logger

# The core is the same object as long as the process runs, so it is looked up once.
_core: Any = getattr(logger, "_core", None)


def handlers() -> Mapping[int, object] | None:
    """Return the handlers by number, or None if this Loguru does not show them."""
    found: Mapping[int, object] | None = getattr(_core, "handlers", None)
    return found


def patcher(missing: Any = None) -> Any:
    """Return the function that patches each record, or `missing` if this Loguru does not show it."""
    return getattr(_core, "patcher", missing)


def added_again(number: int, add: Callable[[], int]) -> tuple[bool, int]:
    """Add a handler again if it was removed; return whether it was, and its number now.

    If the handlers are not shown, the handler is removed and added again, because only `logger.remove` says in public
    whether it was there.
    """
    shown = handlers()
    if shown is not None:
        return (False, number) if number in shown else (True, add())
    try:
        logger.remove(number)
    except ValueError:
        return True, add()
    return False, add()
