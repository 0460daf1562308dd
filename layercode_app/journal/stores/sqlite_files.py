"""The files of the SQLite journal: the database, its write-ahead log, and the locks of the workers that are alive."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from pathlib import Path
from uuid import uuid4
from weakref import WeakSet

from loguru import logger

from ...settings import make_folder
from .sqlite_schema import has_journal

SWITCH_SECONDS = 5.0
"""Maximum time for which a new worker waits for others that create the journal at the same time."""
CHECK_SECONDS = 3.0
"""Maximum duration of the page check. Of a large file, only a part is checked in this time."""


def create(path: Path) -> None:
    """Create an empty file for the journal, unless there is one. Only its owner can read it."""
    make_folder(path.parent, mode=0o700)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def connect(path: Path) -> sqlite3.Connection:
    """Open the journal. A missing file is an error.

    The file may be empty or a journal of this version. For any other file, raise sqlite3.DatabaseError and leave the
    file as it is. SQLite's automatic checkpoints are off, because the Checkpointer replaces them.
    """
    # With mode=rw, SQLite does not create a file where the journal was moved away.
    address = f"{path.as_uri()}?mode=rw"
    db = sqlite3.connect(
        address, uri=True, isolation_level=None, check_same_thread=False, timeout=5, cached_statements=64
    )
    try:
        _switch_to_wal(db)
        for pragma in ("synchronous=NORMAL", "wal_autocheckpoint=0", "secure_delete=ON"):
            db.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        db.close()
        raise
    # From now on a locked database fails at once; GroupCommit retries without blocking the event loop.
    db.execute("PRAGMA busy_timeout=0")
    return db


def _switch_to_wal(db: sqlite3.Connection) -> None:
    """Switch a journal or an empty file to the write-ahead log, and retry while another worker holds the lock.

    SQLite does not wait for the lock in this statement, whatever the busy timeout.
    """
    deadline = time.monotonic() + SWITCH_SECONDS
    while True:
        try:
            # Check this first: the switch must not change a database of another program.
            has_journal(db)
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def check_pages(db: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError if damage to the file is found within `CHECK_SECONDS`."""
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


def identity(file: Path | int) -> tuple[int, int] | None:
    """Return the device and inode of a file, by its path or descriptor, or None if there is no such file."""
    try:
        found = os.stat(file)  # noqa: PTH116 - `Path.stat` takes no descriptor
    except OSError:
        return None
    return found.st_dev, found.st_ino


class WorkerLock:
    """A file that a worker keeps locked while it lives. The kernel releases the lock even after `kill -9`.

    A forked child, such as one of a process pool, gives up its copy of the lock. Otherwise a dead worker whose children
    are still running would seem alive.
    """

    def __init__(self, path: Path) -> None:
        self._folder = _lock_folder(path)
        self._owner = ""
        self._path: Path | None = None
        self._handle: int | None = None

    def take(self) -> str:
        """Create and lock a file for this worker, delete the files of dead workers, and return this worker's new id."""
        make_folder(self._folder.parent, mode=0o700)
        self._owner = uuid4().hex
        _locks.add(self)
        self._create()
        self.others()
        return self._owner

    def _create(self) -> None:
        self._folder.mkdir(exist_ok=True, mode=0o700)
        # Lock the file before it gets its name, or a worker that starts now could mistake it for a dead worker's file.
        unnamed = self._folder / f".{self._owner}"
        former, self._handle = self._handle, os.open(unnamed, os.O_CREAT | os.O_RDWR, 0o600)
        if former is not None:
            os.close(former)
        _give_to_owner_of(self._folder, self._handle)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        self._path = unnamed.rename(self._folder / self._owner)

    def keep(self) -> None:
        """Create and lock the file again if it was deleted. Without its file, a worker seems dead to the others."""
        if self._handle is not None and identity(self._folder / self._owner) != identity(self._handle):
            self._create()

    def others(self) -> list[str]:
        """Return the ids of the workers that are alive, and delete the files of dead workers."""
        return [lock.name for lock in self._folder.iterdir() if lock.name[0] != "." and _is_held(lock)]

    def release(self) -> None:
        """Delete the file and release the lock. If the file cannot be deleted, a later worker deletes it."""
        try:
            if self._path is not None:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("The lock file of this worker cannot be deleted: {}", error)
        finally:
            self.disown()

    def disown(self) -> None:
        """Close the file without deleting it, because another process may hold the lock."""
        if self._handle is not None:
            os.close(self._handle)
        self._path = self._handle = None


_locks: WeakSet[WorkerLock] = WeakSet()
"""The locks of this process."""


def _disown_all() -> None:
    for lock in list(_locks):
        lock.disown()


os.register_at_fork(after_in_child=_disown_all)


def worker_alive(path: Path, owner: str) -> bool:
    """Return whether the worker still holds its lock; if not, delete its file."""
    return _is_held(_lock_folder(path) / owner)


def _lock_folder(path: Path) -> Path:
    return path.with_name(path.name + "-workers")


def _give_to_owner_of(folder: Path, handle: int) -> None:
    """Give a new lock file to the owner of its folder, as SQLite does with the files that it creates.

    Root may run a command on the journal of a server that runs as another user. The server must then be able to open
    the lock file of the command, to find out whether the command is still running.
    """
    owner = folder.stat()
    if os.geteuid() == 0 != owner.st_uid:
        os.fchown(handle, owner.st_uid, owner.st_gid)


def _is_held(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True  # The file may belong to root, from an older release. Then only root can check the lock.
    try:
        # Use a shared lock: with an exclusive one, two workers that check a file at once would think its owner alive.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        with contextlib.suppress(PermissionError):
            lock.unlink(missing_ok=True)
        return False
    finally:
        os.close(handle)
