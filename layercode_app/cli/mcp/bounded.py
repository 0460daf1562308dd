"""Limit the rows and bytes of an answer, and tell how to get the rest."""

from __future__ import annotations

from collections.abc import Sequence

from ...journal.record import Json
from ...output.visible import json_text

ANSWER_BYTES = 40_000
"""Maximum size of an answer: about ten thousand tokens."""
ROW_BYTES = 8_000
"""Maximum size of one row, such as a turn."""
_STEPS = ((4_000, 100), (1_000, 40), (300, 15), (100, 5), (40, 2))
"""Pairs of limits: the characters of a text, and the items of a list. The first pair whose result fits is used."""
_DEEPEST = 8


def size(value: Json) -> int:
    """Return the size of a value as JSON, in bytes."""
    return len(json_text(value).encode("utf-8", "replace"))


def fitted(value: Json, most: int = ROW_BYTES) -> Json:
    """Return the value with long texts and lists shortened until it has at most `most` bytes.

    If the value is still too large, return an object with only a note about its size.
    """
    if size(value) <= most:
        return value
    for characters, items in _STEPS:
        shorter = _shortened(value, characters, items)
        if size(shorter) <= most:
            return shorter
    return {"left_out": f"{size(value)} bytes, too large to be shortened; `sessions export` writes all of it"}


def _shortened(value: Json, characters: int, items: int, deep: int = 0) -> Json:
    if isinstance(value, str):
        return value if len(value) <= characters else f"{value[:characters]}… ({len(value)} characters)"
    if deep > _DEEPEST and isinstance(value, dict | list):
        return "…"
    if isinstance(value, list):
        left = [f"… ({len(value)} items)"] if len(value) > items else []
        return [_shortened(item, characters, items, deep + 1) for item in value[:items]] + left
    if isinstance(value, dict):
        # Our own rows have up to forty fields.
        kept = list(value.items())[: max(items, 40 if deep == 0 else items)]
        left_out = {"…": f"{len(value)} fields"} if len(kept) < len(value) else {}
        return {key[:characters]: _shortened(item, characters, items, deep + 1) for key, item in kept} | left_out
    return value


def page(rows: Sequence[Json], *, offset: int, more: bool, most: int = ANSWER_BYTES) -> dict[str, Json]:
    """Return the rows that fit into an answer, and the offset of the next row if there is one.

    Each row is shortened to ROW_BYTES. `more` means that there are further rows after `rows`.
    """
    shown: list[Json] = []
    left = most
    for row in map(fitted, rows):
        left -= size(row)
        if left < 0 and shown:
            break
        shown.append(row)
    answer: dict[str, Json] = {"rows": shown}
    if more or len(shown) < len(rows):
        answer["next_offset"] = offset + len(shown)
        answer["more"] = f"There are more rows: call this tool again with offset={offset + len(shown)}."
    return answer
