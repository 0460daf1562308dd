"""Handle Ctrl-C and termination signals in `chat`: they stop the current step and not the process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

ResultT = TypeVar("ResultT")


class Interrupts:
    """A context manager that handles SIGINT, SIGTERM and SIGHUP. Each stops the running step of the chat.

    SIGTERM and SIGHUP also set `hung_up`, so that the chat ends.
    """

    def __init__(self) -> None:
        self.hung_up = False
        """True after a signal that ends the chat."""
        self._step: asyncio.Task[Any] | None = None
        self._stopped = False

    async def run(self, step: Coroutine[Any, Any, ResultT]) -> ResultT | None:
        """Await a step: a reply, or the next line. Return None if a signal stopped it."""
        self._stopped = False
        self._step = running = asyncio.ensure_future(step)
        try:
            return await running
        except asyncio.CancelledError:
            if not self._stopped:
                raise
            return None
        finally:
            self._step = None

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._stop)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._hang_up)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(number)

    def _stop(self) -> None:
        if self._step is not None:
            self._stopped = True
            self._step.cancel()

    def _hang_up(self) -> None:
        self.hung_up = True
        self._stop()
