"""Estimate the size of a turn in a prompt: text, tool calls with their arguments, and tool results.

Instructions, reasoning and message ids are not counted: they are in the journal, but not in later requests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .record import Json, Kind, Status, TurnRecord
from .record_json import from_json

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

CHARACTERS_PER_TOKEN = 4
MEDIA_CHARACTERS = 4000
"""The number of characters that is assumed for an image or another file in a prompt, whatever its size."""
NOTE_CHARACTERS = 80
"""Maximum characters of a note that the history adds, such as about an interruption or a missing tool result."""
_CONTENTS = frozenset(
    ("user-prompt", "system-prompt", "tool-return", "retry-prompt", "retry-feedback", "text", "instruction-delta")
)
"""The kinds of parts whose content is counted."""
_FILES = frozenset(("binary", "image-url", "audio-url", "document-url", "video-url", "uploaded-file"))
"""The kinds of PydanticAI's objects that are files."""


def characters_of(messages: Sequence[ModelMessage]) -> int:
    """Count the characters of these messages."""
    return sum(
        _characters(
            part.part_kind, getattr(part, "content", None), getattr(part, "args", None), getattr(part, "tool_name", "")
        )
        for message in messages
        for part in message.parts
    )


def characters_of_turn(record: TurnRecord) -> int:
    """Return how many characters a turn adds to the prompts of later turns.

    Of an interrupted reply, only the part that the caller heard is counted.
    """
    besides = len(record.before) + sum(map(len, record.notes)) + _added(record)
    if not record.messages:
        return len(record.user_text) + len(record.heard) + besides
    try:
        parts = [part for message in from_json(record.messages) for part in message["parts"]]
    except ValueError:
        # The JSON is invalid, because another program wrote it; its size is the only measure left.
        return len(record.messages)
    written = record.heard_text is None
    said = sum(len(part.text) for part in record.speech if part.source != "model") if written else len(record.heard)
    besides += NOTE_CHARACTERS * max(_count(parts, "tool-call") - _count(parts, "tool-return"), 0)
    return besides + said + sum(_of_json(part) for part in parts if written or part["part_kind"] != "text")


def _added(record: TurnRecord) -> int:
    """Return the maximum length of the notes that the history adds to this turn.

    A greeting gets a note, and so does an interrupted turn.
    """
    interrupted = record.status is Status.INTERRUPTED or record.status is Status.SUPERSEDED
    return NOTE_CHARACTERS * (interrupted + (record.kind is Kind.GREETING))


def _count(parts: Sequence[Mapping[str, Json]], kind: str) -> int:
    return sum(part["part_kind"] == kind for part in parts)


def _of_json(part: Mapping[str, Json]) -> int:
    return _characters(part["part_kind"], part.get("content"), part.get("args"), part.get("tool_name"))


def _characters(kind: str, content: Json, arguments: Json, tool_name: str | None) -> int:
    if kind == "tool-call":
        return len(tool_name or "") + len(text_of(arguments))
    if kind == "user-prompt" and not isinstance(content, str):
        return sum(len(item) if isinstance(item, str) else MEDIA_CHARACTERS for item in content or ())
    return len(text_of(content)) + MEDIA_CHARACTERS * _files(content) if kind in _CONTENTS else 0


def text_of(content: Json) -> str:
    """Return the content of a message part, such as a tool's result, as the text that the model gets.

    The text has a placeholder for each image or other file.
    """
    items = content if isinstance(content, list | tuple) else [content]
    if any(map(_is_file, items)):
        named = [_name_of(item) if _is_file(item) else item for item in items]
        content = named if items is content else named[0]
    if content is None or isinstance(content, str):
        return content or ""
    return json.dumps(content, default=str, ensure_ascii=False)


def _files(content: Json) -> int:
    return sum(map(_is_file, content if isinstance(content, list | tuple) else [content]))


def _is_file(item: Any) -> bool:
    """Return whether an item of a tool's result is a file, either one of PydanticAI's objects or its JSON."""
    kind = _kind_of(item)
    if not isinstance(kind, str) or kind not in _FILES:
        return False
    return not isinstance(item, dict) or any(name in item for name in ("data", "url", "file_id"))


def _name_of(file: Any) -> str:
    kind, of_json = _kind_of(file), isinstance(file, dict)
    if kind == "binary":  # The media type of a URL is a guess from its ending, and may be unknown.
        kind = str(file.get("media_type") if of_json else file.media_type)
    return "[image]" if kind.startswith("image") else "[file]"


def _kind_of(item: Any) -> Any:
    return item.get("kind") if isinstance(item, dict) else getattr(item, "kind", "")
