"""The files of the SQLite journal: its connection, its write-ahead log, and the locks that show who is alive."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from pathlib import Path
from uuid import uuid4

from ...settings import make_folder

CHECKPOINT_SECONDS = 0.5
PASSIVE_BYTES = 1 << 20
"""From this size on the write-ahead log is copied back, beside the writers."""
TRUNCATE_BYTES = 64 << 20
"""From this size on the writers wait while it is cut: what bounds the file."""
CHECK_SECONDS = 3.0
"""How long the pages of a file are checked; a large one takes longer, and is checked in part."""
TRUNCATE_SECONDS = 1.0
"""How long a cut may wait for writers of other processes."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the journal for its owner only; checkpoints are the Checkpointer's, never a caller's."""
    make_folder(path.parent, mode=0o700)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5, cached_statements=64)
    try:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "wal_autocheckpoint=0", "secure_delete=ON"):
            db.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        db.close()
        raise
    # From here on a locked database answers at once; waiting is GroupCommit's, beside the event loop.
    db.execute("PRAGMA busy_timeout=0")
    return db


def check_pages(db: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError for a damaged file, as far as that is found within `CHECK_SECONDS`."""
    deadline = time.monotonic() + CHECK_SECONDS
    db.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:
        if str(error) != "interrupted":
            raise
        return
    finally:
        db.set_progress_handler(None, 0)
    if found != "ok":
        raise sqlite3.DatabaseError(f"the file is malformed: {found}")


class Checkpointer:
    """Copies the write-ahead log back in a thread of its own: on the loop a checkpoint's fsync would stall calls."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._stopped = threading.Event()
        self.cutting = False
        """Whether this worker's writers should stay away for a moment; without it they would never leave a gap."""
        self._thread = threading.Thread(target=self._run, name="journal-checkpoint", daemon=True)

    def start(self) -> None:
        """Begin to look at the log's size."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, after a last checkpoint."""
        self._stopped.set()
        self._thread.join()
        self.truncate()

    def truncate(self) -> None:
        """Empty the write-ahead log if no other worker is in the way."""
        # Most of it beside the writers, so that they wait for the rest only.
        self._checkpoint("PASSIVE")
        self.cutting = True
        try:
            self._checkpoint("TRUNCATE")
        finally:
            self.cutting = False

    def _run(self) -> None:
        while not self._stopped.wait(CHECKPOINT_SECONDS):
            size = self._log.stat().st_size if self._log.exists() else 0
            if size > TRUNCATE_BYTES:
                self.truncate()
            elif size > PASSIVE_BYTES:
                self._checkpoint("PASSIVE")

    def _checkpoint(self, mode: str) -> None:
        deadline = time.monotonic() + TRUNCATE_SECONDS
        with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(connect(self._path)) as db:
            # Asked often: SQLite's own waiting sleeps so long that busy writers never let it in.
            while db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[0] and time.monotonic() < deadline:
                time.sleep(0.0005)


class WorkerLock:
    """A file that a worker holds locked while it lives; the kernel lets go of it even after `kill -9`."""

    def __init__(self, path: Path) -> None:
        self.owner = uuid4().hex
        self._path = _lock_path(path, self.owner)
        self._handle: int | None = None

    def take(self) -> None:
        """Create and lock the file, and clear away those of the dead."""
        make_folder(self._path.parent.parent, mode=0o700)
        self._path.parent.mkdir(exist_ok=True, mode=0o700)
        self.others()
        # Locked before it has its name: a worker that starts at the same time must not take it for a dead one's.
        unnamed = self._path.with_name(f".{self.owner}")
        self._handle = os.open(unnamed, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        unnamed.rename(self._path)

    def others(self) -> list[str]:
        """The owners that are alive; what the dead left behind is removed."""
        return [lock.name for lock in self._path.parent.iterdir() if lock.name[0] != "." and _is_held(lock)]

    def release(self) -> None:
        """Remove the file: this worker is gone."""
        if self._handle is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None


def worker_alive(path: Path, owner: str) -> bool:
    """Whether the worker still holds its lock."""
    return _is_held(_lock_path(path, owner))


def _lock_path(path: Path, owner: str) -> Path:
    return path.with_name(path.name + "-workers") / owner


def _is_held(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who ask about the same dead worker do not take one another for it.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        lock.unlink(missing_ok=True)
        return False
    finally:
        os.close(handle)
