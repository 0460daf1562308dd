"""Write log lines to stdout and stderr without waiting for the program that reads them.

If stdout is a pipe and its reader stops reading, such as a log driver that hangs, a write blocks, and with it all
phone calls. So a thread writes to pipes. Files and terminals are written at once.
"""

from __future__ import annotations

import os
import select
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from loguru import logger

MOST_BYTES = 4_000_000
"""Maximum bytes that wait for the reader of a pipe. Further lines are dropped and counted."""
GATHER_SECONDS = 0.02
"""How long the thread waits for further lines, because waking it up for each line would slow down the calls."""
FLUSH_SECONDS = 1.0
"""How long `flush` waits for the reader."""
_ATOMIC = getattr(select, "PIPE_BUF", 512)
"""Maximum bytes that one write passes on as a whole. In larger writes, lines of different workers could be mixed."""


class Pipe:
    """A queue of lines for a stdout or stderr that is a pipe or a socket, and the thread that writes the lines."""

    def __init__(self, name: Literal["stdout", "stderr"]) -> None:
        self._name = name
        self._stream: Any = None
        self._number: int | None = None
        """The file descriptor of the pipe; None if the stream is no pipe."""
        self._forked = False
        self._empty()
        self.failed: Callable[[str], None] = lambda reason: None
        """Called in the thread when a write has failed. The argument is the reason."""
        self.worked: Callable[[], None] = lambda: None
        """Called in the thread after a write."""

    def _empty(self) -> None:
        self._waiting: list[bytes] = []
        self._size = self._dropped = 0
        self._done = threading.Condition()
        self._filled, self._hurry = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = self._stalled = False

    def write(self, lines: bytes) -> bool:
        """Queue whole lines. Return False if the stream is no pipe; then the calling code writes to it."""
        if self._pipe() is None:
            return False
        with self._done:
            if self._size + len(lines) > MOST_BYTES:
                self._dropped += lines.count(b"\n")
                return True
            self._waiting.append(lines)
            self._size += len(lines)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=f"log-{self._name}", daemon=True)
                self._thread.start()
        if not self._filled.is_set():
            self._filled.set()
        if self._closing:
            self.flush()
        return True

    def _pipe(self) -> int | None:
        stream = getattr(sys, self._name)
        if stream is not self._stream or stream is None or stream.closed:
            self._stream, self._number = stream, _number_of(stream)
        return None if self._forked else self._number

    def flush(self) -> None:
        """Wait up to FLUSH_SECONDS until all queued lines are written. Do not wait again for a reader that hangs."""
        if self._thread in (None, threading.current_thread()):
            return
        self._hurry.set()
        with self._done:
            wait = 0.0 if self._stalled else FLUSH_SECONDS
            self._stalled = not self._done.wait_for(lambda: not self._size, wait)
        self._hurry.clear()

    def close(self) -> None:
        """Flush now and after each further line, because the process may end at any time."""
        self._closing = True
        self.flush()

    def forked(self) -> None:
        """Stop queueing lines in a forked process: `write` returns False, and the calling code writes them at once.

        A forked process, such as one that a tool started, may end at any time. Queued lines would be lost.
        """
        self._empty()
        self._forked = True

    def open(self) -> None:
        """Start to queue lines again, after `close` or in a forked process that serves calls itself."""
        self._closing = self._forked = False

    def _run(self) -> None:
        while True:
            self._filled.wait()
            self._hurry.wait(GATHER_SECONDS)
            self._filled.clear()
            with self._done:
                waiting, self._waiting = self._waiting, []
            try:
                for together in _grouped(waiting):
                    self._send(together)
            finally:
                self._finish(sum(map(len, waiting)))

    def _send(self, lines: bytes) -> None:
        # Read `_number` only once, because another thread changes it when the stream is replaced.
        number, rest = self._number, memoryview(lines)
        try:
            while rest and number is not None:
                try:
                    rest = rest[os.write(number, rest) :]
                except BlockingIOError:
                    # Another process has made the pipe non-blocking.
                    select.select([], [number], [])
        except Exception as error:  # noqa: BLE001 - without this thread, no further line would be written
            self.failed(type(error).__name__)
        else:
            self.worked()

    def _finish(self, written: int) -> None:
        with self._done:
            self._size -= written
            self._stalled = False
            dropped, self._dropped = self._dropped, 0
            self._done.notify_all()
        if dropped:
            logger.warning("The reader of {} was too slow: {} log lines were dropped.", self._name, dropped)


def _number_of(stream: Any) -> int | None:
    try:
        number: int = stream.fileno()
        mode = os.fstat(number).st_mode
    except (AttributeError, OSError, ValueError):
        return None
    return number if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


def _grouped(written: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines to groups of at most _ATOMIC bytes. A longer line is a group of its own."""
    group: list[bytes] = []
    size = 0
    for line in b"".join(written).splitlines(keepends=True):
        if group and size + len(line) > _ATOMIC:
            yield b"".join(group)
            group, size = [], 0
        group.append(line)
        size += len(line)
    if group:
        yield b"".join(group)


STDOUT, STDERR = Pipe("stdout"), Pipe("stderr")
if hasattr(os, "register_at_fork"):
    for _pipe in (STDOUT, STDERR):
        os.register_at_fork(after_in_child=_pipe.forked)
