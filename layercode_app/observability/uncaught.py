"""Log Python's warnings, and uncaught errors of tasks, callbacks, threads and finalizers, without quoting the caller.

Python itself would print the whole text of these warnings and errors to stderr. When Python calls our handler, the
context of the turn is gone. So the handler cannot know whether a caller's words are in the message, and hides it. Only
our own servers install these hooks; an embedded app does not change the hooks of its host.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import warnings
from typing import Any, TextIO

from loguru import logger

from . import context


def catch_all() -> None:
    """Log the uncaught errors of the running event loop and of this process's threads and finalizers.

    Also log the warnings of this process.
    """
    asyncio.get_running_loop().set_exception_handler(_in_loop)
    threading.excepthook = _in_thread
    sys.unraisablehook = _in_finalizer
    # Python has applied the filters for warnings when it calls this function, so they still work.
    warnings.showwarning = _warn


def _in_loop(_: asyncio.AbstractEventLoop, met: dict[str, Any]) -> None:
    # The message about a callback contains its arguments, and the repr of a task contains its whole error. Log neither.
    message = "Exception in callback" if "handle" in met else str(met.get("message") or "Unhandled exception")
    task = met.get("future") or met.get("task")
    name = getattr(task.get_coro(), "__qualname__", "") if isinstance(task, asyncio.Task) else ""
    _log(f"{message} ({name})" if name else message, met.get("exception"))


def _in_thread(met: threading.ExceptHookArgs) -> None:
    if met.exc_type is not SystemExit:
        _log(f"Exception in a thread: {met.exc_type.__name__}", met.exc_value)


def _in_finalizer(met: sys.UnraisableHookArgs) -> None:
    where = getattr(met.object, "__qualname__", type(met.object).__name__)
    _log(f"Exception ignored in {where}: {met.exc_type.__name__}", met.exc_value)


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    error = message if isinstance(message, Warning) else category(message)
    logger.opt(exception=error).warning("{} in {}, line {}", category.__name__, filename, lineno)


def _log(message: str, error: BaseException | None) -> None:
    with context.for_reader():
        logger.opt(exception=error).error("{}", message)
