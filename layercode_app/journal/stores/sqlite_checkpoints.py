"""Checkpoint the write-ahead log of the SQLite journal: copy it into the database, so that writers can reuse its file."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from pathlib import Path

from .sqlite_files import connect

SHORTEST_WAIT, LONGEST_WAIT = 0.04, 0.5
"""Seconds between two checkpoints: the fewer writes, the longer."""
PAGES_AT_ONCE = 200
"""The number of pages that a checkpoint should copy.

The copying thread competes with the event loop for the CPU. If both need the same core, the kernel lets each run for
several milliseconds at a time. A small copy delays turns by one such slice at most, and then waits for the disk.
"""
LEAST_BYTES = 1 << 20
"""Below this size, the log is not copied."""
RESTART_BYTES = 64 << 20
"""Above this size, writers wait until the whole log is copied, and then write it from its beginning.

This bounds the file. The log is not truncated, because a file that grows again is slower than one that is overwritten.
Only a log of twice this size, to which it grows while a long read needs it, is truncated.
"""
RESTART_SECONDS, TRUNCATE_SECONDS = 0.05, 1.0
"""Maximum time for which a blocked restart or truncation is retried while writers wait. Readers of the log block it."""


class Checkpointer:
    """Checkpoints the write-ahead log in a separate thread: on the event loop, the fsync would stall calls."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._stopped = threading.Event()
        self._copied = 0
        self._owes_truncation = False
        self.cutting = False
        """Whether this worker's writers must wait: without a pause in the writes, a restart would hardly succeed."""
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
        """Copy the write-ahead log into the database and empty the log.

        If a read blocks that for longer than TRUNCATE_SECONDS, the log is emptied later.
        """
        self._owes_truncation = True
        with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(connect(self._path)) as db:
            # Copy most of the log while writers continue, so that they wait only for the rest.
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._owes_truncation = not self._cut(db, "TRUNCATE", TRUNCATE_SECONDS)

    def _run(self) -> None:
        while not self._stopped.wait(LONGEST_WAIT):
            with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(connect(self._path)) as db:
                self._keep_copying(db)

    def _keep_copying(self, db: sqlite3.Connection) -> None:
        """Checkpoint until this worker stops. Raises sqlite3.Error or OSError."""
        wait, page_bytes = LONGEST_WAIT, int(db.execute("PRAGMA page_size").fetchone()[0])
        while not self._stopped.wait(wait):
            if self._log.stat().st_size < LEAST_BYTES and not self._owes_truncation:
                wait = LONGEST_WAIT
                continue
            pages, written = self._copy(db)
            wait = min(max(wait * PAGES_AT_ONCE / max(pages, 1), SHORTEST_WAIT), LONGEST_WAIT)
            if not self._bounded(db, written * page_bytes):
                # Let writers go on before the next attempt.
                wait = LONGEST_WAIT

    def _bounded(self, db: sqlite3.Connection, written: int) -> bool:
        """Restart or truncate a log with too many bytes. Return false if a read blocked that."""
        if self._owes_truncation or written > 2 * RESTART_BYTES:
            self._owes_truncation = not self._cut(db, "TRUNCATE", RESTART_SECONDS)
            return not self._owes_truncation
        return written <= RESTART_BYTES or self._cut(db, "RESTART", RESTART_SECONDS)

    def _copy(self, db: sqlite3.Connection) -> tuple[int, int]:
        """Copy the log while writers continue; return the number of new pages, and of all pages in the log."""
        _, written, copied = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        # After a restart, the log is counted from its beginning.
        new = copied - self._copied if copied >= self._copied else copied
        self._copied = copied
        return new, written

    def _cut(self, db: sqlite3.Connection, mode: str, seconds: float) -> bool:
        """Copy the whole log while this worker's writers wait; return whether that succeeded in this time."""
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
