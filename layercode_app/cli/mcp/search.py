"""Search recorded conversations for a text. Words that masking hides or replaces are not found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...exceptions import NotRecordedError
from ...journal.read import turns_of
from ...journal.record import Json
from ...journal.stores.base import Store, Summary
from ...reports.conversations import moment, turn_json
from .masked import Masked

SCANNED = 200
"""Maximum number of conversations that one search reads."""
TURNS_SHOWN = 3
_WORDS = ("caller", "agent_said", "tools", "error", "error_detail", "outcomes", "handed_to", "at_stage")
_SHOWN = ("turn_id", "caller", "agent_said", "error")
_LONGEST = 300


async def search(journal: Store, text: str, *, limit: int, offset: int) -> dict[str, Json]:
    """Return the conversations that contain a text, newest first. Case is ignored.

    The text must be in a conversation both before and after masking. So a search finds neither the caller's real name
    nor the invented name that replaces it. At most SCANNED conversations are read.
    """
    found = (await journal.conversations(limit=offset + SCANNED + 1))[offset:]
    rows: list[Json] = []
    read = 0
    for summary in found[:SCANNED]:
        read += 1
        if row := await _row(journal, summary, text.casefold()):
            rows.append(row)
        if len(rows) == limit:
            break
    answer: dict[str, Json] = {"rows": rows, "searched": read}
    if read < len(found):
        answer["next_offset"] = offset + read
        answer["more"] = f"Older conversations were not searched: call this tool again with offset={offset + read}."
    return answer


async def _row(journal: Store, summary: Summary, text: str) -> Json:
    try:
        raw = await turns_of(journal, summary.conversation_id)
        # Masking is slow, so skip it if the unmasked words do not contain the text. A search for an invented name,
        # with which masking replaced a real one, therefore finds nothing.
        if not any(_contains(turn_json(turn), text) for turn in raw):
            return None
        turns = await turns_of(journal, summary.conversation_id, bodies=True)
    except NotRecordedError:
        return None  # The conversation was deleted meanwhile.
    masked = [row for row in Masked(turns).turns(turns) if _contains(row, text)]
    if not masked:
        return None
    return {
        "conversation_id": summary.conversation_id,
        "agent": summary.agent,
        "last_at": moment(summary.last_at),
        "matching_turns": len(masked),
        "turns": [_short(row) for row in masked[:TURNS_SHOWN]],
    }


def _contains(row: dict[str, Any], text: str) -> bool:
    return any(text in found.casefold() for name in _WORDS for found in _texts(row.get(name)))


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts and numbers in a JSON value, such as a tool call's `args`. The names of fields are left out."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
    elif value is not None:
        yield str(value)


def _short(row: dict[str, Any]) -> Json:
    return {name: str(row[name] or "")[:_LONGEST] for name in _SHOWN}
