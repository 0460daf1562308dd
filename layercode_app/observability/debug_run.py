"""In a debug run, log each frame and tool call of a turn as it happens, and its model messages when it has ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loguru import logger

from ..journal.record import Frame, ToolCall
from ..wellformed import dump_json, load_json
from .privacy import masking

verbose = False
"""Whether this is a debug run."""


class _LoggedFrames(list[Any]):
    """The frames of a turn. Each is logged when it is added, so that a turn that hangs shows how far it got."""

    def append(self, frame: Frame) -> None:
        """Add a frame and log it."""
        super().append(frame)
        logger.debug("frame {} at {} ms{}", frame.type, frame.at_ms, _content(frame.content))


def new_frames() -> list[Any]:
    """Return the list for a turn's frames; a plain one unless this is a debug run."""
    return _LoggedFrames() if verbose else []


def log_tool(call: ToolCall) -> None:
    """Log that a tool call started, or how it ended."""
    if not verbose:
        return
    args = f" {call.args!r}" if masking.capture_content() else ""
    if call.ended_ms is None:
        logger.debug("tool {}{} started at {} ms", call.name, args, call.started_ms)
    else:
        logger.debug("tool {}{} {} after {} ms", call.name, args, call.status, call.ended_ms)


def log_messages(dumped: bytes) -> None:
    """Log the messages to and from the model of a turn, given as JSON."""
    for kind, parts in _messages(dumped):
        logger.debug("message {}: {}", kind, parts)


def _content(content: Any) -> str:
    if content is None:
        return ""
    return f": {content!r}" if masking.capture_content() else f", {len(str(content))} characters"


def _messages(dumped: bytes) -> Iterator[tuple[str, str]]:
    """Yield the kind and parts of each message; the parts in full only if content is captured."""
    for message in load_json(dumped) if dumped else ():
        parts = message.get("parts", ())
        if masking.capture_content():
            yield message.get("kind", ""), dump_json(parts).decode()
        else:
            yield message.get("kind", ""), ", ".join(str(part.get("part_kind")) for part in parts)
