"""Describe an error for the developer's page of `dev`: its message, the file and line of the agent, and the fix.

The description contains the error's text, which may quote the caller; secrets are masked. It is stored
only by `dev` and in forked turns, never in logs or spans.
"""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from loguru import logger

from ..journal.record import Json, TurnRecord
from .errors import body_of, category_of, chain
from .fixes import fix_of
from .privacy.masking import is_library, without_secrets

LONGEST_MESSAGE = 4000
MOST_FRAMES = 80
LINES_AROUND = 2
"""Source lines that are shown before and after the developer's own line."""


def keep_failure(record: TurnRecord, error: BaseException) -> None:
    """Write the description of the error that ended a turn into the turn's record. Never raises."""
    try:
        record.failure = failure_of(error)
    except Exception as own:  # noqa: BLE001 - the apology must be spoken in any case
        logger.debug("The error could not be described: {}", type(own).__name__)


def failure_of(error: BaseException) -> Json:
    """Return the error's type, message, causes, frames and fix as JSON.

    `at` is the innermost frame of the developer's own code, with the source lines around it; None if no frame is
    in that code.
    """
    links = list(chain(error))
    traced = next((link for link in links if _own(link.__traceback__)), error)
    frames = [_frame(one) for one in traceback.extract_tb(traced.__traceback__)]
    own = [frame for frame in frames if frame["own"]]
    return {
        "type": _name(error),
        "message": _text(error),
        "causes": [{"type": _name(link), "message": _text(link)} for link in links[1:]],
        "at": own[-1] | {"source": _source(own[-1])} if own else None,
        "frames": [_shown(frame) for frame in frames[-MOST_FRAMES:]],
        "fix": fix_of(error, category_of(error)),
    }


def _own(trace: TracebackType | None) -> bool:
    return any(not is_library(frame.filename) for frame in traceback.extract_tb(trace))


def _frame(frame: traceback.FrameSummary) -> dict[str, Json]:
    return {
        "file": frame.filename,
        "line": frame.lineno or 0,
        "function": frame.name,
        "code": frame.line or "",
        "own": not is_library(frame.filename),
    }


def _shown(frame: dict[str, Json]) -> dict[str, Json]:
    return frame | {"file": shown_path(frame["file"])}


def _source(frame: dict[str, Json]) -> list[tuple[int, str]]:
    """Return the numbered source lines around a frame's line, without their common indentation."""
    at = frame["line"]
    lines = [(number, linecache.getline(frame["file"], number)) for number in _around(at)]
    frame["file"] = shown_path(frame["file"])
    kept = [(number, line.rstrip()) for number, line in lines if line]
    filled = [number for number, line in kept if line]
    indent = min((len(line) - len(line.lstrip()) for _, line in kept if line), default=0)
    # The file may have changed since it was loaded, so the lines may be blank now.
    return [(number, line[indent:]) for number, line in kept if filled and filled[0] <= number <= filled[-1]]


def _around(line: int) -> Iterable[int]:
    return range(max(line - LINES_AROUND, 1), line + LINES_AROUND + 1)


def shown_path(file: str) -> str:
    """Return a path relative to the working folder or to `site-packages`; any other path is returned as it is."""
    path = Path(file)
    if "site-packages" in path.parts:
        return Path(*path.parts[path.parts.index("site-packages") + 1 :]).as_posix()
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else file


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _text(error: BaseException) -> str:
    try:
        return without_secrets(_said(error))[:LONGEST_MESSAGE]
    except Exception:  # noqa: BLE001 - the developer's own `__str__` may fail, too
        return "(the error's text cannot be read)"


def _said(error: BaseException) -> str:
    """Return the message of an error, without additions of its library such as the quotes around a missing key."""
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])  # `str` would put the key in quotes.
    message = body_of(error).get("message")
    return message if isinstance(message, str) and message else str(error)
