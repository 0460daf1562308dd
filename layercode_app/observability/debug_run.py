"""In a debug run, log each frame and tool call of a turn when it happens, and the model messages after the turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loguru import logger

from ..journal.record import Frame, ToolCall
from ..wellformed import dump_json, load_json
from .privacy import masking

verbose = False
"""True in a debug run, which `--verbose` starts."""


class _LoggedFrames(list[Any]):
    """The frames of a turn. Each is logged when it is appended, so that a turn that hangs shows how far it got."""

    def append(self, frame: Frame) -> None:
        """Append a frame and log it."""
        super().append(frame)
        logger.debug("frame {} at {} ms{}", frame.type, frame.at_ms, _content(frame.content))


def new_frames() -> list[Any]:
    """Return an empty list for a turn's frames. In a debug run, the list logs each frame that is appended."""
    return _LoggedFrames() if verbose else []


def log_tool(call: ToolCall) -> None:
    """In a debug run, log that a tool call started, or how it ended."""
    if not verbose:
        return
    args = f" {call.args!r}" if masking.capture_content() else ""
    if call.ended_ms is None:
        logger.debug("tool {}{} started at {} ms", call.name, args, call.started_ms)
    else:
        logger.debug("tool {}{} {} after {} ms", call.name, args, call.status, call.ended_ms)


def log_messages(dumped: bytes) -> None:
    """Log a turn's messages to and from the model, given as JSON."""
    for kind, parts in _messages(dumped):
        logger.debug("message {}: {}", kind, parts)


def _content(content: Any) -> str:
    if content is None:
        return ""
    return f": {content!r}" if masking.capture_content() else f", {len(str(content))} characters"


def _messages(dumped: bytes) -> Iterator[tuple[str, str]]:
    """Yield the kind of each message, and its parts as JSON. If transcripts are hidden, list only the parts' kinds."""
    for message in load_json(dumped) if dumped else ():
        parts = message.get("parts", ())
        if masking.capture_content():
            yield message.get("kind", ""), dump_json(parts).decode()
        else:
            yield message.get("kind", ""), ", ".join(str(part.get("part_kind")) for part in parts)
