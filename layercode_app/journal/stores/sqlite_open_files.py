"""Notice that files of the SQLite journal were moved, deleted or replaced while they are open.

SQLite would go on with the files that it has opened, but a worker that starts later would create new ones. Each worker
would then have its own journal, and a turn could run twice.
"""

from __future__ import annotations

from pathlib import Path

from loguru import logger

from ...exceptions import StoreError
from .sqlite_files import WorkerLock, identity


class OpenFiles:
    """The open files of a journal: the database, its write-ahead log, the log's index, and the lock of this worker."""

    def __init__(self, path: Path, lock: WorkerLock) -> None:
        self._paths = [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]
        self._lock = lock
        self._opened: dict[Path, tuple[int, int] | None] = {}
        self._fault = ""

    def note(self) -> None:
        """Remember which files are at the paths now, because they have just been opened."""
        self._opened, self._fault = {path: identity(path) for path in self._paths}, ""

    def require(self) -> None:
        """Raise StoreError if the last check found a fault."""
        if self._fault:
            raise StoreError(self._fault)

    def check(self) -> None:
        """Check whether each file is at its path, and log a change. Create the lock of this worker if it is gone."""
        before, self._fault = self._fault, self._find_fault()
        if self._fault and not before:
            logger.error("{} Callers hear the apology until then.", self._fault)
        elif before and not self._fault:
            logger.info("The files of the journal {} are in place again.", self._paths[0])

    def _find_fault(self) -> str:
        for path, opened in self._opened.items():
            if identity(path) != opened:
                # Leave the lock alone: its new folder would be in the way when the journal's folder is moved back.
                return (
                    f"{path} was moved, deleted or replaced while the journal was in use. Move the journal's files back, "
                    f"or restart the server. A restart begins a new journal if {self._paths[0].name} is not there."
                )
        try:
            self._lock.keep()
        except OSError as error:
            return (
                f"The lock of this worker was deleted and cannot be created again: {error}. Make its folder writable."
            )
        return ""
