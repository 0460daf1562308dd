"""Run the function that chooses a simulated caller's words. It runs in a thread, so it cannot block the server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run the function in a thread, and return its result or raise its exception.

    If the wait is cancelled, the thread continues, but it does not keep the process alive.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def finish(result: Any, error: Exception | None) -> None:
        if not done.done():
            done.set_result(result) if error is None else done.set_exception(error)

    def run() -> None:
        result: Any = None
        error: Exception | None = None
        try:
            result = function(*arguments)
        except StopIteration as stopped:
            error = RuntimeError(f"StopIteration: {stopped}")  # A future cannot hold a StopIteration.
        except Exception as raised:  # noqa: BLE001 - a function of the project may raise anything
            error = raised
        with suppress(RuntimeError):  # The loop may be closed by now.
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=run, name="simulated-caller", daemon=True).start()
    return await done
