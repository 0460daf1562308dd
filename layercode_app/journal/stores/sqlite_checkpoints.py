"""Checkpoint the write-ahead log of the SQLite journal: copy it into the database, so that the log can be reused."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from pathlib import Path

from . import sqlite_forgotten as forgotten
from .sqlite_files import connect

SHORTEST_WAIT, LONGEST_WAIT = 0.04, 0.5
"""Minimum and maximum seconds between two checkpoints. The fewer writes there are, the longer the thread waits."""
PAGES_AT_ONCE = 200
"""The number of pages that a checkpoint should copy.

The copying thread competes with the event loop for the CPU. If both need the same core, the kernel lets each run for
several milliseconds at a time. A small copy delays turns by one such slice at most, and then waits for the disk.
"""
LEAST_BYTES = 1 << 20
"""A log file below this size is not copied."""
RESTART_BYTES = 64 << 20
"""If the log holds more than this, writers wait until all of it is copied. Then they overwrite it from its beginning.

This limits the size of the file, except during a long read that needs the log. Usually the file is not truncated,
because it is slower to let a file grow again than to overwrite it. The file is truncated only if it has over twice this
size, as after a long read, or if it contains the text of a forgotten conversation.
"""
RESTART_SECONDS, TRUNCATE_SECONDS = 0.05, 1.0
"""Maximum time for which a restart or truncation is retried while writers wait. It fails while a read uses the log."""


class Checkpointer:
    """Checkpoints the write-ahead log in a separate thread: on the event loop, the fsync would stall calls.

    Each worker has a Checkpointer, but only one at a time can copy the log.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._stopped = threading.Event()
        self._copied = 0
        self._one_cut = threading.Lock()
        self.cutting = False
        """Whether this worker's writers must pause now. If they never paused, the log could rarely be restarted."""
        self._thread = threading.Thread(target=self._run, name="journal-checkpoint", daemon=True)

    def start(self) -> None:
        """Start to checkpoint the log while it grows."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and truncate the log one last time."""
        self._stopped.set()
        self._thread.join()
        self.truncate()

    def truncate(self) -> None:
        """Copy the write-ahead log into the database and empty the log, unless a read blocks that for too long."""
        with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(connect(self._path)) as db:
            # Copy most of the log while writers continue, so that they wait only for the rest.
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._truncate(db, forgotten.newest(db), TRUNCATE_SECONDS)

    def _run(self) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(connect(self._path)) as db:
                self._keep_copying(db)
            self._stopped.wait(LONGEST_WAIT)

    def _keep_copying(self, db: sqlite3.Connection) -> None:
        """Checkpoint until this worker stops. Raises sqlite3.Error or OSError."""
        wait, page_bytes = LONGEST_WAIT, int(db.execute("PRAGMA page_size").fetchone()[0])
        while not self._stopped.wait(wait):
            size, mark = self._log.stat().st_size, forgotten.newest(db)
            if size < LEAST_BYTES and not mark:
                wait = LONGEST_WAIT
                continue
            pages, written = self._copy(db)
            wait = min(max(wait * PAGES_AT_ONCE / max(pages, 1), SHORTEST_WAIT), LONGEST_WAIT)
            if written is None:
                # A part of the log cannot be copied now, so it would be useless to let writers wait.
                continue
            if mark or size > 2 * RESTART_BYTES:
                self._truncate(db, mark, RESTART_SECONDS)
            elif written * page_bytes > RESTART_BYTES:
                self._cut(db, "RESTART", RESTART_SECONDS)

    def _copy(self, db: sqlite3.Connection) -> tuple[int, int | None]:
        """Copy the log into the database while writers continue. Return the pages copied now, and all pages in the log.

        The second number is None if a part of the log was not copied: a read may need that part, or another worker may
        be copying the log.
        """
        busy, written, copied = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if busy or written < 0:
            return 0, None
        # After the log was restarted, SQLite counts its pages from the beginning.
        new = copied - self._copied if copied >= self._copied else copied
        self._copied = copied
        return new, written if copied == written else None

    def _truncate(self, db: sqlite3.Connection, mark: int, seconds: float) -> None:
        """Truncate the log. If that succeeds, delete the marks of forgotten conversations.

        `mark` is the number of the newest mark to delete, or 0 if there are no marks. See `sqlite_forgotten.py` for the
        meaning of a mark.
        """
        if self._cut(db, "TRUNCATE", seconds) and mark:
            forgotten.clear(db, mark)

    def _cut(self, db: sqlite3.Connection, mode: str, seconds: float) -> bool:
        """Checkpoint the whole log while this worker's writers wait; return whether that succeeded within `seconds`.

        `mode` is a checkpoint mode of SQLite. RESTART lets writers overwrite the log from its beginning. TRUNCATE
        empties the log file.
        """
        with self._one_cut:
            deadline = time.monotonic() + seconds
            self.cutting = True
            try:
                while blocked := bool(db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[0]):
                    if time.monotonic() > deadline:
                        break
                    # Retry often: SQLite's own busy handler sleeps so long that busy writers always get in first.
                    time.sleep(0.0005)
                return not blocked
            finally:
                self.cutting = False
