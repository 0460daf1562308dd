"""Write readable log lines to stderr: time, level, agent and turn, message, error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from loguru import logger

from ..output.visible import shortened, visible, visible_lines
from .pipes import STDERR
from .privacy import masking

if TYPE_CHECKING:
    from loguru import Message, Record

_BEGIN = "<green>{time:HH:mm:ss.SSS}</green> <level>{level: <7}</level> {extra[_who]}"
_END = "{extra[_error]}\n"
FORMAT = f"{_BEGIN}<level>{{extra[_told]}}</level>{_END}"
HIGHLIGHTED = f"{_BEGIN}<bold><cyan>{{extra[_told]}}</cyan></bold>{_END}"
HIGHLIGHT = "_highlight"
"""To highlight a line on a terminal, bind a true value to this name: `logger.bind(_highlight=True)`."""
OWN = ("_who", "_told", "_error", HIGHLIGHT)
"""The names of bound values that only this format needs; no other sink writes them."""
INDENT = "    "
LONGEST_ID = 24
"""Maximum characters of a turn's id that are shown. The command `logs` shows whole ids."""


def add(*, level: str, brief: bool, full: bool = False, **options: Any) -> int:
    """Add a handler for lines of at least `level`, and return its Loguru id.

    With `brief`, errors are shown with their messages, and tracebacks show only the frames in the agent's files. With
    `full`, tracebacks also show the other frames.
    """
    describe = masking.brief if brief else masking.full if full else masking.describe

    def format_line(record: Record) -> str:
        extra, exception = record["extra"], record["exception"]
        turn = extra.get("turn_id")
        extra["_who"] = f"[{visible(extra.get('agent', ''))} {shortened(turn, LONGEST_ID)}] " if turn else ""
        # Indent further lines, so that text quoted from a caller cannot be mistaken for another log line.
        extra["_told"] = visible_lines(record["message"], indent=INDENT)
        described = describe(exception.value, exception.traceback) if exception and exception.value else ""
        extra["_error"] = f"\n{INDENT}" + visible_lines(described, indent=INDENT) if described else ""
        return HIGHLIGHTED if extra.get(HIGHLIGHT) else FORMAT

    return logger.add(_write, level=level, format=format_line, colorize=sys.stderr.isatty(), **options)


def _write(message: Message) -> None:
    text = masking.clean(message)
    if STDERR.write(text.encode(errors="backslashreplace")):
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        return
