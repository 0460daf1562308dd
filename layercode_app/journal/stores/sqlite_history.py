"""The history of a conversation in the SQLite journal: its newest turns, decoded at the first access."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TypeAlias, overload

from ..record import Status, TurnRecord
from ..record_json import STATUSES, from_json, load_record, to_json
from .base import LEAST_TOKENS, LazyHistory, counts_json, tokens_of
from .history_steps import first_of

Row: TypeAlias = tuple[int, bytes, bytes, str, str, bytes, int]
"""Position, head, messages, owner, status, frames and tokens of a stored turn."""

WHOLE = "position, head, messages, owner, status, frames, tokens"
HEADS = "position, head, x'', owner, status, x'', tokens"
END_OF_JOURNAL = 1 << 62
_PENDING = b'"pending":'
"""The key of the field `pending` in a stored head, which is JSON. The key is missing if the field has its default."""
_SESSION = b'"session_id":'
"""The key of the field `session_id` in a stored head."""
_NEWEST = """
SELECT position, head, messages, owner, status, x'', tokens FROM turns
WHERE conversation_id = ? AND position < ? AND speaking ORDER BY position DESC LIMIT ?
"""


def newest(db: sqlite3.Connection, conversation_id: str, tokens: int, before: int | None) -> list[Row]:
    """Return the turns of the history, oldest first and without their frames.

    `tokens` is the token budget. The newest turn is included even if it alone exceeds the budget. With `before`, the
    history contains only turns before this position.
    """
    # Limit the rows in SQL to the number that may fit. Otherwise, the sqlite3 module would also read the next row, with
    # its messages.
    most = max(tokens // LEAST_TOKENS, 1)
    cursor = db.execute(_NEWEST, (conversation_id, END_OF_JOURNAL if before is None else before, most))
    rows = _fitting(cursor, tokens)
    cursor.close()
    return rows[first_row(rows, tokens) :]


def first_row(rows: Sequence[Row], tokens: int) -> int:
    """Return the index of the row at which the history begins.

    `rows` are the newest rows that fit the token budget; the oldest row comes first. The history may begin at a later
    row, because it is trimmed in steps.
    """
    if len(rows) < 2:
        return 0
    starts = (from_json(row[1]).get("history_start", 0) for row in reversed(rows))
    return first_of([row[0] for row in rows], [row[-1] for row in rows], starts, tokens)


def _fitting(newest_first: Iterable[Row], tokens: int) -> list[Row]:
    """Return the newest rows that fit the token budget, at least one, in the order in which their turns began."""
    chosen: list[Row] = []
    for row in map(_counted, newest_first):
        tokens -= row[-1]
        if tokens < 0 and chosen:
            break
        chosen.append(row)
    return chosen[::-1]


def _counted(row: Row) -> Row:
    """Return the row; if an earlier release counted its tokens in another way, count them again."""
    return (*row[:-1], tokens_of(load(row))) if counts_json(row[-1], row[2]) else row


def load(row: Row) -> TurnRecord:
    """Decode the record of a row. Owner and status are taken from the columns, which are authoritative."""
    position, head, messages, owner, status, frames, _ = row
    record = load_record(head, position=position, messages=messages, frames=frames)
    record.owner, record.status = owner, STATUSES[status]
    return record


class LazyRecords(LazyHistory):
    """The records of stored rows, decoded at the first access, because an agent without a model never reads them."""

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

    def newest_may_ask(self) -> bool:
        """Return whether the stored JSON of the newest turn contains the key `pending`, without decoding the JSON.

        True may be wrong, because other data of the turn, such as a tool's result, may contain the same key.
        """
        return bool(self._rows) and _PENDING in self._rows[-1][1]

    def newest_may_differ(self, session_id: str) -> bool:
        """Return whether the stored JSON of the newest turn has another session id, without decoding the JSON."""
        if not self._rows:
            return False
        head = self._rows[-1][1]
        # The record's own field comes first; an event in the record has the key again.
        return not head.startswith(to_json(session_id), head.find(_SESSION) + len(_SESSION))

    def may_name(self, turn_id: str) -> bool:
        """Return whether the stored JSON of a turn contains this turn id, without decoding the JSON."""
        encoded = to_json(turn_id)
        return any(encoded in row[1] for row in self._rows)

    def running(self) -> list[TurnRecord]:
        """Return the turns that are still running."""
        return [load(row) for row in self._rows if row[4] == Status.RUNNING]
