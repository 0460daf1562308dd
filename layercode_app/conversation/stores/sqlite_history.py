"""The past of a conversation in the SQLite journal: its newest turns, decoded only where somebody reads them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TypeAlias, overload

from ..record import Status, TurnRecord
from ..record_json import STATUSES, load_record
from .base import LEAST_TOKENS, counts_json, tokens_of

Row: TypeAlias = tuple[int, bytes, bytes, str, str, bytes, int]
"""Position, head, messages, owner, status, frames and tokens of a stored turn."""

WHOLE = "position, head, messages, owner, status, frames, tokens"
HEADS = "position, head, x'', owner, status, x'', tokens"
END_OF_JOURNAL = 1 << 62
_NEWEST = """
SELECT position, head, messages, owner, status, x'', tokens FROM turns
WHERE conversation_id = ? AND position < ? AND speaking ORDER BY position DESC LIMIT ?
"""


def newest(db: sqlite3.Connection, conversation_id: str, tokens: int, before: int | None) -> list[Row]:
    """The newest turns that fit the budget, oldest first, without frames."""
    # Never more than may fit: the sqlite3 module reads one row ahead, with all that was said.
    most = max(tokens // LEAST_TOKENS, 1)
    cursor = db.execute(_NEWEST, (conversation_id, END_OF_JOURNAL if before is None else before, most))
    rows = _fitting(cursor, tokens)
    cursor.close()
    return rows


def _fitting(newest_first: Iterable[Row], tokens: int) -> list[Row]:
    """Those that fit the budget, at least one, oldest first."""
    chosen: list[Row] = []
    for row in map(_counted, newest_first):
        tokens -= row[-1]
        if tokens < 0 and chosen:
            break
        chosen.append(row)
    return chosen[::-1]


def _counted(row: Row) -> Row:
    """The row with the tokens that this release counts."""
    return (*row[:-1], tokens_of(load(row))) if counts_json(row[-1], row[2]) else row


def load(row: Row) -> TurnRecord:
    """The record of a row. Owner and status are the columns': they are what the journal goes by."""
    position, head, messages, owner, status, frames, _ = row
    record = load_record(head, position=position, messages=messages, frames=frames)
    record.owner, record.status = owner, STATUSES[status]
    return record


class LazyRecords(Sequence[TurnRecord]):
    """Records that are decoded when somebody reads them, once: an agent without a model never does."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows
        self._records: list[TurnRecord] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> TurnRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[TurnRecord]: ...
    def __getitem__(self, index: int | slice) -> TurnRecord | list[TurnRecord]:
        if self._records is None:
            self._records = [load(row) for row in self._rows]
        return self._records[index]

    def running(self) -> list[TurnRecord]:
        """Those that have not ended."""
        return [load(row) for row in self._rows if row[4] == Status.RUNNING]
