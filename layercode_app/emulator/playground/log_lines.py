"""Read the log lines of a turn from the JSON log files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...wellformed import load_json

NEWEST_BYTES = 8_000_000
"""The number of bytes that are searched at the end of each log file."""


def lines_of_turn(log_dir: Path | None, turn_id: str) -> list[dict[str, Any]]:
    """Return the log lines with the turn's id, oldest first, from the end of each uncompressed log file.

    This blocks, so call it in a thread.
    """
    if log_dir is None or not log_dir.is_dir():
        return []
    found = [line for path in log_dir.glob("*.log*") if path.suffix != ".gz" for line in _matching(path, turn_id)]
    return sorted(found, key=lambda line: str(line.get("time", "")))


def _matching(path: Path, turn_id: str) -> Iterator[dict[str, Any]]:
    needle = turn_id.encode()
    for line in _newest(path).splitlines():
        if needle in line and (parsed := _parse(line)) and parsed.get("turn_id") == turn_id:
            yield parsed


def _newest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - NEWEST_BYTES, 0))
            return file.read()
    except OSError:
        return b""


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        value = load_json(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
