"""Read the lines of all workers' JSON log files, including rotated files, in order of time."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from ..exceptions import ConfigurationError
from ..observability.json_lines import NAME
from ..wellformed import dump_json, load_json

Line: TypeAlias = dict[str, Any]
LEVELS = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")
POLL_SECONDS = 0.3
HEAD_BYTES = 64
"""The number of first bytes that identify a log file. They include the time of its first line, so they are unique."""


@dataclass(frozen=True)
class Wanted:
    """A filter for log lines: by conversation, turn, agent, minimum level and age.

    `turn` may be the beginning of a turn's id, because the terminal shortens ids.
    """

    conversation: str | None = None
    turn: str | None = None
    agent: str | None = None
    level: str = "TRACE"
    since: float = 0.0
    """Epoch seconds."""
    needles: tuple[bytes, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.level.upper() not in LEVELS:
            raise ConfigurationError(f"--level {self.level!r}: expected one of {', '.join(LEVELS)}.")
        asked = (self.conversation, self.agent)
        # The needles are searched for in the raw JSON, so that most lines are skipped without parsing.
        needles = [dump_json(one) for one in asked if one is not None]
        needles += [] if self.turn is None else [dump_json(self._turn)[:-1]]
        object.__setattr__(self, "needles", tuple(needles))

    @property
    def _turn(self) -> str:
        return (self.turn or "").rstrip("…")

    @property
    def described(self) -> str:
        """The filter in words, empty if every line passes. It is the end of a message such as "No log line in logs matches …".

        A text that is not empty begins with a space, as in `" agent 'bakery', level WARNING and above"`.
        """
        asked = {"conversation": self.conversation, "turn": self.turn, "agent": self.agent}
        parts = [f"{name} {value!r}" for name, value in asked.items() if value is not None]
        parts += [f"level {self.level.upper()} and above"] if self.level.upper() != LEVELS[0] else []
        parts += ["that period"] if self.since else []
        return f" {', '.join(parts)}" if parts else ""

    def parse(self, raw: bytes) -> Line | None:
        """Return the line if it passes the filter, else None."""
        if not all(needle in raw for needle in self.needles):
            return None
        try:
            line = load_json(raw)
        except ValueError:
            return None
        return line if isinstance(line, dict) and self._wants(line) else None

    def _wants(self, line: Line) -> bool:
        asked = {"conversation_id": self.conversation, "agent": self.agent}
        if any(value is not None and line.get(name) != value for name, value in asked.items()):
            return False
        if self.turn is not None and not str(line.get("turn_id", "")).startswith(self._turn):
            return False
        level = str(line.get("level", "INFO"))
        if level in LEVELS and LEVELS.index(level) < LEVELS.index(self.level.upper()):
            return False
        return not self.since or _seconds(line) >= self.since


def files_in(folder: Path) -> list[Path]:
    """Return the log files of all workers, rotated files included.

    The log files of single agents are left out, because they repeat lines of the workers' log files.
    """
    return sorted(path for path in folder.glob(f"{NAME}*.log") if path.is_file())


def newest(folder: Path, wanted: Wanted, *, limit: int) -> list[Line]:
    """Return the `limit` newest lines that pass the filter `wanted`, sorted from old to new.

    Raises ConfigurationError if the folder does not exist.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"LOG_DIR {str(folder)!r}: there is no such folder. Run a server that writes log files there, or set LOG_DIR."
        )
    order = count()
    lines = ((_seconds(line), next(order), line) for path in files_in(folder) for line in _read(path, wanted))
    return [line for _, _, line in sorted(heapq.nlargest(limit, lines))]


def _read(path: Path, wanted: Wanted) -> Iterator[Line]:
    try:
        with path.open("rb") as file:
            for raw in file:
                if (line := wanted.parse(raw)) is not None:
                    yield line
    except FileNotFoundError:
        return  # The file was deleted in the meantime.


class Follower:
    """Reads the lines that are written from now on. It continues after a rotation, and includes new workers."""

    def __init__(self, folder: Path, wanted: Wanted) -> None:
        self._folder = folder
        self._wanted = wanted
        self._read: dict[int, tuple[int, bytes]] = {}
        """For each file: the number of bytes that were read, and its first bytes. The key is the file's inode, because
        rotation renames the file."""
        for path in files_in(folder):
            with suppress(FileNotFoundError), path.open("rb") as file:
                self._read[os.fstat(file.fileno()).st_ino] = file.seek(0, os.SEEK_END), _head(file)

    def poll(self) -> list[Line]:
        """Return the lines written since the last call, in order of time."""
        lines = [line for path in files_in(self._folder) for line in self._more(path)]
        return sorted(lines, key=_seconds)

    def lines(self) -> Iterator[Line]:
        """Yield lines as they are written. The iteration never ends by itself."""
        while True:
            yield from self.poll()
            time.sleep(POLL_SECONDS)

    def _more(self, path: Path) -> Iterator[Line]:
        try:
            with path.open("rb") as file:
                inode, head = os.fstat(file.fileno()).st_ino, _head(file)
                offset = self._offset(inode, head, file.seek(0, os.SEEK_END))
                file.seek(offset)
                text = file.read()
        except FileNotFoundError:
            return
        whole = text.rfind(b"\n") + 1
        self._read[inode] = offset + whole, head
        for raw in text[:whole].splitlines():
            if (line := self._wanted.parse(raw)) is not None:
                yield line

    def _offset(self, inode: int, head: bytes, size: int) -> int:
        """Return where to continue to read a file.

        If the file is shorter than before, or begins differently, it was truncated, or it is a new file with the inode of a
        deleted one. Then it is read from its beginning.
        """
        offset, before = self._read.get(inode, (0, b""))
        return offset if size >= offset and head.startswith(before) else 0


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(HEAD_BYTES)


def _seconds(line: Line) -> float:
    from datetime import datetime

    try:
        return datetime.fromisoformat(str(line.get("time", ""))).timestamp()
    except ValueError:
        return 0.0
