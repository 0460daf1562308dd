"""Handle signals: the first request to stop drains the app, a second one ends it at once; the exit code is 0.

Uvicorn's own handler closes the socket at the first signal, so `/ready` cannot report that the app is draining. At the
end it raises the signal again, which kills the process. We replace the handler in every process that uvicorn starts,
and let uvicorn exit when the turns have ended.

A supervisor stops its workers with SIGUSR1. While a worker drains, it keeps its socket open, so that new callers hear
that the server is busy. It closes the socket in two cases: when it is replaced (SIGHUP), because other workers or the new
worker answer, and when its supervisor has died, because a restarted server needs the port.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from loguru import logger

from .._compat.uvicorn import server_of_this_process
from .._compat.uvicorn_workers import REPLACE, SAME_REQUEST_SECONDS, STOP
from .app import LayerCode

SIGNALS = (signal.SIGTERM, signal.SIGINT)
CUT_SECONDS = 1.0
"""Seconds that the turns may take to send the goodbye after the second signal."""


def drain_on_signals(app: LayerCode) -> None:
    """Drain the app when this process gets a signal to stop. Does nothing if the signal handler is not uvicorn's."""
    app.on_start.append(lambda: _Shutdown.install(app))


@contextmanager
def hangup_as_term() -> Iterator[None]:
    """Treat SIGHUP, which a closed terminal sends, like SIGTERM in this context. Does nothing outside the main thread.

    With several workers, uvicorn replaces this handler: SIGHUP then restarts the workers one by one.
    """
    main = threading.current_thread() is threading.main_thread()
    # `nohup` starts programs with SIGHUP ignored, so that they survive the terminal.
    if not main or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


class _Shutdown:
    """Replaces the signal handlers of a uvicorn server."""

    def __init__(self, app: LayerCode, server: uvicorn.Server) -> None:
        self._app = app
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._seen: list[int] = []
        self._last = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    def install(cls, app: LayerCode) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        server, parent = server_of_this_process(), multiprocessing.parent_process()
        if server is not None:
            shutdown = cls(app, server)
            for number in SIGNALS:
                signal.signal(number, shutdown.handle)
            if parent is not None:
                shutdown.obey(parent.sentinel)
        elif parent is not None:
            # Uvicorn's own handlers stay in place. They know only SIGTERM, and without a handler these signals kill.
            for number in (STOP, REPLACE):
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, lambda *_: signal.raise_signal(signal.SIGTERM))

    def obey(self, parent: int) -> None:
        """Handle the signals of this worker's supervisor, and drain if it dies: `parent` becomes readable then."""
        signal.signal(STOP, self.handle)
        # With --reload and `nohup`, SIGHUP is ignored. Then the supervisor's SIGTERM follows.
        if signal.getsignal(REPLACE) is signal.SIG_DFL:
            signal.signal(REPLACE, self.handle)
        self._loop.add_reader(parent, self._orphaned, parent)

    def _orphaned(self, parent: int) -> None:
        self._loop.remove_reader(parent)
        logger.error("The process that supervises this worker has died, so this worker drains and ends.")
        self._begin(self._replaced)

    def handle(self, number: int, frame: FrameType | None) -> None:
        # One request to stop may send several signals. A terminal sends Ctrl-C to the workers too, and then their
        # parent sends them STOP. `timeout`, and an init that signals its whole group, send the same signal twice.
        twice = time.monotonic() - self._last < SAME_REQUEST_SECONDS
        self._last = time.monotonic()
        if twice:
            return
        again = bool(self._seen) and (number in self._seen or multiprocessing.parent_process() is None)
        self._seen.append(number)
        # REPLACE is never a second request: a closed terminal sends it to the workers, and so does their supervisor.
        begin = self._replaced if number == REPLACE else self._give_up if again else self._drain
        self._loop.call_soon_threadsafe(self._begin, begin)

    def _begin(self, what: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self._loop.create_task(what(), name="shutdown")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self) -> None:
        logger.info("Shutting down: no new turns are accepted, {} are running.", len(self._app.turns.running))
        try:
            await self._app.drain()
        finally:
            self._server.should_exit = True

    async def _replaced(self) -> None:
        """Leave new calls to the other workers, or to the worker or server that replaces this one, and drain."""
        # While the server starts, it has no listeners, and uvicorn's `Server` has no `servers`.
        for listener in getattr(self._server, "servers", ()):
            listener.close()
        await self._drain()

    async def _give_up(self) -> None:
        logger.warning("Second stop signal: ending the {} running turns now.", len(self._app.turns.running))
        try:
            await self._app.turns.cut(self._app.settings.goodbye, seconds=CUT_SECONDS)
        finally:
            self._server.should_exit = self._server.force_exit = True
