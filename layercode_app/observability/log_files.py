"""Write rotating files of JSON lines. Each worker has its own file, because rotating a shared file would lose lines.

`layercode-app.PID.log` is the current file, `layercode-app.PID.TIME.log` a rotated file. Files are not compressed,
because compression would stall the calls. Each worker deletes files that are too old, including files of ended workers.
For rotation, the age of a file counts from its first line, so that files also rotate if the server restarts often. For
deletion, the age counts from the last line.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from ..exceptions import ConfigurationError
from ..settings import make_folder
from .outages import LogOutage
from .pids import alive

CHECK_SECONDS = 5.0
"""How often the writer checks that its file was not moved or deleted."""
CLEAN_SECONDS = 600.0
RETRY_SECONDS = 1.0
"""How long to wait after an error before the file is opened again."""

_SIZES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2592000, "year": 31536000}
_PART = re.compile(r"([\d.]+)\s*([a-zA-Z]+)")

Due = Callable[[int, float, float], bool]
"""Decides whether to rotate a file. Its arguments are the size, the time of the first line, and the time now."""
_TIME = re.compile(rb'"time":"([^"]+)"')
_HEAD = 4096
"""Bytes that are read from a file to find the time of its first line."""


def parse_rotation(text: str) -> Due:
    """Parse a rotation such as "500 MB", "1 day" or "00:00". Raises ConfigurationError for other text."""
    if size := _size(text):
        return lambda written, opened, now: written >= size
    if seconds := _seconds(text):
        return lambda written, opened, now: now - opened >= seconds
    if match := re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text.strip()):
        hour, minute = int(match[1]), int(match[2])
        return lambda written, opened, now: now >= _next(opened, hour, minute)
    raise ConfigurationError(
        f'LOG_ROTATION {text!r}: expected a size, period or time of day: "500 MB", "1 day", "00:00".'
    )


def parse_retention(text: str) -> float:
    """Parse a retention such as "10 days" into seconds. Raises ConfigurationError for other text."""
    if seconds := _seconds(text):
        return seconds
    raise ConfigurationError(f'LOG_RETENTION {text!r}: expected a duration such as "10 days" or "12 hours".')


def _size(text: str) -> float:
    match = _PART.fullmatch(text.strip())
    return _number(match[1]) * _SIZES.get(match[2].upper(), 0) if match else 0


def _seconds(text: str) -> float:
    parts = [(_number(n), _PERIODS.get(unit.lower().removesuffix("s"), 0)) for n, unit in _PART.findall(text)]
    rest = _PART.sub("", text).replace(",", "").strip()
    return sum(n * unit for n, unit in parts) if parts and not rest and all(unit for _, unit in parts) else 0


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _next(opened: float, hour: int, minute: int) -> float:
    start = datetime.fromtimestamp(opened)
    due = start.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (due if due > start else due + timedelta(days=1)).timestamp()


class RotatingFile:
    """This worker's log file in a folder. `write` never raises; lines that it cannot write are lost."""

    def __init__(self, folder: Path, name: str, *, rotation: str, retention: str) -> None:
        self._folder = folder
        self._name = name
        self._due = parse_rotation(rotation)
        self._keep = parse_retention(retention)
        self._path = folder / f"{name}.{os.getpid()}.log"
        self._outage = LogOutage(f"The log file {self._path}")
        self._fd = -1
        self._size = 0
        self._begun = self._checked = self._cleaned = self._retry_at = 0.0

    def write(self, lines: bytes) -> None:
        """Append one or more lines, each of which ends with a newline."""
        now = time.time()
        if self._fd < 0 and now < self._retry_at:
            return
        try:
            self._prepare(now, len(lines))
            self._append(lines)
        except OSError as error:
            self.close()
            self._retry_at = now + RETRY_SECONDS
            self._outage.failed(error.strerror or type(error).__name__)
        else:
            self._outage.worked()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _append(self, lines: bytes) -> None:
        written = os.write(self._fd, lines)
        self._size += written
        if written < len(lines):
            # The disk is full in the middle of a line: remove the partial line, so that each line stays valid JSON.
            partial = written - (lines.rfind(b"\n", 0, written) + 1)
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - partial)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _prepare(self, now: float, more: int) -> None:
        if self._fd >= 0 and now - self._checked >= CHECK_SECONDS:
            self._checked = now
            if not self._still_there():
                self.close()
        if self._fd < 0:
            self._open(now)
        # A file with few lines may never reach the size, so also rotate it at the age at which files are deleted.
        old = now - self._begun >= self._keep
        if self._size and (old or self._due(self._size + more, self._begun, now)):
            self._rotate(now)
        if now - self._cleaned >= CLEAN_SECONDS:
            self._clean(now)

    def _open(self, now: float) -> None:
        make_folder(self._folder)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._size = os.fstat(self._fd).st_size
        self._begun = _begun(self._path, now) if self._size else now
        self._checked = now

    def _still_there(self) -> bool:
        """Return whether the open file is still at its path: it may have been moved or deleted."""
        try:
            return self._path.stat().st_ino == os.fstat(self._fd).st_ino
        except FileNotFoundError:
            return False

    def _rotate(self, now: float) -> None:
        stamp = datetime.fromtimestamp(now).strftime("%Y-%m-%d_%H-%M-%S_%f")
        self.close()
        self._path.rename(self._path.with_suffix(f".{stamp}.log"))
        self._open(now)
        self._clean(now)

    def _clean(self, now: float) -> None:
        """Delete every worker's files that are older than the retention, except files that a live worker has open."""
        self._cleaned = now
        for path in self._folder.glob(f"{self._name}.*.log"):
            if path == self._path:
                continue
            try:
                if now - path.stat().st_mtime > self._keep and not _in_use(path, self._name):
                    path.unlink()
            except OSError:
                continue


def _begun(path: Path, now: float) -> float:
    """Return the time of a file's first line. If the line has no time, return when the file was last changed."""
    with path.open("rb") as file:
        found = _TIME.search(file.read(_HEAD).partition(b"\n")[0])
    try:
        begun = datetime.fromisoformat(found[1].decode()).timestamp() if found else path.stat().st_mtime
    except ValueError:
        begun = path.stat().st_mtime
    return min(begun, now)


def _in_use(path: Path, name: str) -> bool:
    """Return whether the file belongs to a live worker. A newer process with the same process id does not count."""
    pid = path.name.removeprefix(f"{name}.").removesuffix(".log")
    if not pid.isdecimal() or not alive(int(pid)):
        return False
    import psutil

    try:
        return psutil.Process(int(pid)).create_time() <= path.stat().st_mtime
    except psutil.Error:
        return True
