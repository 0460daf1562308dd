"""Share metrics between the processes of a host. Each process replaces its own JSON file in a common folder.

The files are not memory-mapped: if the disk is full, a write to a mapped, sparse file causes a SIGBUS, which kills the
server.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from loguru import logger

from ..settings import make_folder
from .outages import Outage
from .pids import alive

_DEAD = "dead-"


class MetricFiles:
    """Writes this process's file in the folder, and reads the other files. Disk errors are logged, not raised."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()  # a hook or tool may change the working directory
        self._path = self._folder / f"{os.getpid()}.json"
        self._written = b""
        self._outage = _FolderOutage(str(folder))
        self._sweep()

    def write(self, dumped: dict[str, Any]) -> None:
        """Replace this process's file if the metrics have changed since it was written."""
        text = _encode(dumped)
        if text == self._written:
            return
        try:
            self._replace(text)
        except OSError as error:
            self._outage.failed(error.strerror or type(error).__name__)
        else:
            self._written = text
            self._outage.worked()

    def _replace(self, text: bytes) -> None:
        make_folder(self._folder)
        half = self._path.with_suffix(".tmp")
        try:
            half.write_bytes(text)
            half.replace(self._path)
        finally:
            half.unlink(missing_ok=True)

    def others(self) -> Iterator[tuple[dict[str, Any], int | None]]:
        """For every process except this one, yield its last metrics and its id. The id of a dead process is None."""
        for path in self._files():
            if path == self._path:
                continue
            try:
                dumped = json.loads(path.read_bytes())
            except (OSError, ValueError):
                continue
            pid = _pid(path)
            yield dumped, pid if pid and alive(pid) else None

    def pids(self) -> set[int]:
        """Return the ids of the live processes with a file in the folder, and of this process."""
        return {os.getpid(), *(pid for path in self._files() if (pid := _pid(path)) and alive(pid))}

    def _files(self) -> list[Path]:
        try:
            return sorted(self._folder.glob("*.json"))
        except OSError:
            return []

    def _sweep(self) -> None:
        """Delete all files if all processes that wrote them are dead.

        Otherwise, if a dead process had the same id as the current process, rename the file of the dead process, so
        that the current process does not overwrite it.
        """
        files = self._files()
        old = [path for path in files if path == self._path or not alive(_pid(path))]
        try:
            if len(old) == len(files):
                for path in (*old, *self._folder.glob("*.tmp"), *self._folder.glob("*.db")):
                    path.unlink(missing_ok=True)
            elif self._path in old:
                self._path.rename(self._folder / f"{_DEAD}{os.getpid()}-{time.time_ns()}.json")
        except OSError as error:
            self._outage.failed(error.strerror or type(error).__name__)


class _FolderOutage(Outage):
    """The state of the metrics folder. While it cannot be written, the figures of other processes get old."""

    def failed(self, reason: str) -> None:
        """Log the failure once per outage."""
        if self._change(down=True):
            logger.warning(
                "METRICS_DIR {} cannot be written: {}. Until this is fixed, the figures of other processes in /metrics are old or "
                "missing.",
                self._sink,
                reason,
            )

    def worked(self) -> None:
        """Log that the folder is writable again."""
        if self._down and self._change(down=False):
            logger.info("METRICS_DIR {} is writable again.", self._sink)


def _pid(path: Path) -> int:
    """Return the process id in a file's name, or 0 for a renamed file."""
    return int(path.stem) if path.stem.isdecimal() else 0


def _encode(dumped: dict[str, Any]) -> bytes:
    try:
        text = orjson.dumps(dumped)
    except TypeError:
        # orjson refuses a number of over 64 bits, which an agent's own metrics may contain.
        return json.dumps(dumped).encode()
    # orjson writes NaN and infinity as null, which cannot be added up. `json` writes them as they are.
    return json.dumps(dumped).encode() if b"null" in text else text
