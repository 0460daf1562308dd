"""Tasks of an agent: functions whose calls are enqueued as jobs in the journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ..exceptions import HookError


def mark_task(function: Callable[..., Awaitable[Any]]) -> str:
    """Mark a function as a task, and return its name."""
    function.layercode_task = function.__name__  # type: ignore[attr-defined]
    return function.__name__


def task_name(function: Callable[..., Awaitable[Any]]) -> str:
    """Return the name of a task. Raises HookError if the function is not a task."""
    name = getattr(function, "layercode_task", None)
    if name is None:
        shown = getattr(function, "__qualname__", repr(function))
        raise HookError(
            f"turn.background({shown}): expected a coroutine, such as {shown}(...), or a task of the agent. "
            f"To make {shown} a task, put @agent.task above it."
        )
    return str(name)
