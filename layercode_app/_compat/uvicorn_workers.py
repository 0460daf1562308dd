"""Access the worker processes of Uvicorn's supervisors: replace them one by one, and stop them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from socket import socket
from types import FrameType
from typing import Any

from loguru import logger
from uvicorn.config import Config
from uvicorn.supervisors import ChangeReload, Multiprocess
from watchfiles import watch

REPLACE = signal.SIGHUP
"""Tells a worker to leave new calls to the other workers, or to the worker that replaces it, and to drain."""
STOP = signal.SIGUSR1
"""Tells a worker that the whole server stops.

An init may send SIGTERM to all processes of a server. So a SIGTERM from the supervisor would look like a second request
to stop, which ends all turns at once.
"""
SAME_REQUEST_SECONDS = 0.2
"""Signals that follow each other within this time count as one request to stop."""
POLL_SECONDS = 0.1
WATCH_MILLISECONDS = 1000
"""Interval at which `ReloadedWorker` looks for changed settings files."""


class ClosingWorkers(Multiprocess):
    """Uvicorn's supervisor of worker processes. Unlike uvicorn's own class, it notices at once if a worker ends.

    The supervisor asks each worker over a pipe whether the worker is alive. A worker may exit before it answers, such
    as after Ctrl-C. Uvicorn's own class would then wait for the answer until a timeout, because the supervisor's
    process has a copy of the worker's side of the pipe, and this copy stays open. This class closes the copy. So when
    the worker exits, the supervisor sees at once that the pipe is closed. If uvicorn lacks `keep_subprocess_alive` or
    the pipe, this class waits until the timeout, like uvicorn's own class.

    A signal to stop also ends a rolling restart, and a second one is passed on to the workers. Uvicorn's own class
    handles a signal only after the restart, and ignores a second one. If uvicorn lacks `restart_all`, `handle_ttou` or
    `terminate_all`, this class does what uvicorn's own class does.
    """

    def __init__(self, config: Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self._requests = 0
        """The number of requests to stop. A signal handler must not set `should_exit`: its lock may be held."""
        self._last = float("-inf")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._request)

    def _request(self, number: int, frame: FrameType | None) -> None:
        """Count a request to stop. The main loop begins to stop at the first, the second is passed on at once."""
        self.signal_queue.append(number)
        before, self._last = self._last, time.monotonic()
        if self._last - before >= SAME_REQUEST_SECONDS:
            self._requests += 1
            if self._requests > 1:
                self._tell_all()

    def _stopping(self) -> bool:
        if self._requests:
            self.should_exit.set()
        return self.should_exit.is_set()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have ended or do not answer."""
        for process in getattr(self, "processes", ()):
            if (ours := getattr(process, "child_conn", None)) is not None:
                ours.close()
        super().keep_subprocess_alive()

    def restart_all(self) -> None:
        """Replace the workers one by one: each old worker is replaced as soon as its new one serves."""
        for index, old in enumerate(list(self.processes)):
            if self._stopping():
                return
            new = type(old)(self.config, self.sockets)
            new.start()
            if not self._serves(new):
                new.kill()
                new.join()
                return
            self.processes[index] = new
            if not self._retired(old):
                return

    def handle_ttou(self) -> None:
        """Serve with one worker less, if there are several."""
        if self.processes_num > 1:
            self.processes_num -= 1
            self._retired(self.processes.pop())

    def _serves(self, worker: Any) -> bool:
        """Wait until a new worker serves. Return False if it does not start in time, or if the server is to stop."""
        seconds = self.config.timeout_worker_healthcheck
        ended = self._until(lambda: worker.exitcode is not None or worker.is_ready(timeout=1), seconds=seconds)
        serves = ended and worker.exitcode is None
        if not serves and not self._stopping():
            logger.error("The new worker {} did not start. The old workers go on.", worker.pid)
        return serves

    def _retired(self, worker: Any) -> bool:
        """Drain a worker, and wait for its end. If the server is to stop meanwhile, return False.

        The worker is then one of `processes`, so that the supervisor waits for its end.
        """
        _tell(worker, REPLACE)
        if self._until(lambda: worker.exitcode is not None):
            return True
        self.processes.append(worker)
        return False

    def _until(self, done: Callable[[], bool], *, seconds: float = float("inf")) -> bool:
        deadline = time.monotonic() + seconds
        while not done():
            if self._stopping() or time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def terminate_all(self) -> None:
        """Stop all workers. When the last of them has closed its listener, new connections are refused."""
        for listener in self.sockets:
            listener.close()
        self._tell_all()

    def _tell_all(self) -> None:
        for process in self.processes:
            _tell(process, STOP)


class ReloadedWorker(ChangeReload):  # type: ignore[misc, valid-type]
    """Uvicorn's supervisor of one worker, which is replaced when files change. It also watches single files.

    New calls wait while the worker is replaced, and are refused when the server stops. If uvicorn lacks `watcher`, a
    change of the single files is noticed after up to five seconds.
    """

    def __init__(self, config: Config, *, files: Iterable[Path], **more: Any) -> None:
        super().__init__(config, **more)
        self._files = list(files)
        self._before = self._versions()
        self.watcher = watch(
            *config.reload_dirs,
            watch_filter=None,
            stop_event=self.should_exit,
            rust_timeout=WATCH_MILLISECONDS,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        )

    def should_restart(self) -> list[Path] | None:
        """Return the changed files."""
        found = super().should_restart() or []
        before, self._before = self._before, self._versions()
        return [*found, *(path for path in self._files if self._before[path] != before[path])]

    def _versions(self) -> Mapping[Path, tuple[int, int, int] | None]:
        return {path: _version(path) for path in self._files}

    def restart(self) -> None:
        """Replace the worker."""
        _tell(self.process, REPLACE)
        super().restart()

    def shutdown(self) -> None:
        """Stop the worker. When it has closed its listener, new connections are refused."""
        for listener in self.sockets:
            listener.close()
        super().shutdown()


def _version(path: Path) -> tuple[int, int, int] | None:
    """Return what changes with a file's content, or None if there is no file."""
    with suppress(OSError):
        about = path.stat()
        return about.st_ino, about.st_mtime_ns, about.st_size
    return None


def _tell(worker: Any, number: int) -> None:
    """Send a signal to a worker that has not ended."""
    if worker.exitcode is None:
        with suppress(ProcessLookupError):
            os.kill(worker.pid, number)
