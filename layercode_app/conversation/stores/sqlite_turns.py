"""The turns in the SQLite journal: every function runs inside a transaction that GroupCommit began."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TypeAlias, overload

from ..record import Json, Status, TurnRecord
from ..record_json import STATUSES, dump_frames, dump_head, load_record
from . import sqlite_conversations as conversations
from .base import LEAST_TOKENS, SPEAKING_KINDS, Begun, Change, tokens_of

Row: TypeAlias = tuple[int, bytes, bytes, str, str, bytes]
"""Position, head, messages, owner, status and frames of a stored turn."""
Values: TypeAlias = tuple[str, int, bytearray, bytearray, bytearray, int, str]
"""What `save` writes: status, tokens, head, messages and frames, where position and owner are these.

As bytearrays, because the sqlite3 module first looks for an adapter of anything bound as `bytes`: a tenth of a save.
"""

PAGE = 200
END_OF_JOURNAL = 1 << 62

WHOLE = "position, head, messages, owner, status, frames"
HEADS = "position, head, x'', owner, status, x''"
_INSERT = """
INSERT INTO turns
(conversation_id, turn_id, speaking, status, owner, agent, started_at, tokens, head, messages, frames)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, x'5b5d') ON CONFLICT DO NOTHING
"""
_UPDATE = """
UPDATE turns SET status = ?, tokens = ?, head = ?, messages = ?, frames = ?
WHERE position = ? AND owner = ?
"""
_CLAIM = "UPDATE turns SET owner = ?, head = ? WHERE position = ?"
_GET = f"SELECT {WHOLE} FROM turns WHERE conversation_id = ? AND turn_id = ?"  # noqa: S608
_HISTORY = """
SELECT position, head, messages, owner, status, x'', tokens FROM turns
WHERE conversation_id = ? AND position < ? AND speaking ORDER BY position DESC LIMIT ?
"""
_PAGE = """
SELECT {columns} FROM turns
WHERE position {direction} ? AND started_at >= ? {only} ORDER BY position {order} LIMIT ?
"""


def begin(db: sqlite3.Connection, record: TurnRecord, tokens: int) -> Begun:
    """Write a new turn, or find the known one; and what the journal knows of its conversation."""
    cursor = db.execute(_INSERT, _new_row_of(record))
    if not cursor.rowcount:
        known = get(db, *record.key)
        assert known is not None
        return Begun("finished" if known.finished else "running", known)
    record.position = cursor.lastrowid or 0
    past = history(db, record.conversation_id, tokens, record.position)
    kept = conversations.read(db, record.conversation_id)
    return Begun("new", record, past, past.running(), kept.state, kept.metadata)


def _new_row_of(record: TurnRecord) -> tuple[Json, ...]:
    return (
        record.conversation_id,
        record.turn_id,
        int(record.kind in SPEAKING_KINDS),
        record.status,
        record.owner,
        record.agent,
        record.started_at,
        tokens_of(record),
        bytearray(dump_head(record)),
        bytearray(record.messages),
    )


def claim(db: sqlite3.Connection, record: TurnRecord, owner: str) -> TurnRecord | None:
    """The running turn as its dead owner left it, now this owner's; None when it is not as the caller read it."""
    stored = get(db, *record.key)
    if stored is None or stored.finished or (stored.owner, stored.attempt) != (record.owner, record.attempt):
        return None
    stored.owner, stored.attempt = owner, stored.attempt + 1
    db.execute(_CLAIM, (owner, dump_head(stored), stored.position))
    return stored


def values_of(record: TurnRecord) -> Values:
    """The record as it is now, for `save`."""
    head, messages, frames = bytearray(dump_head(record)), bytearray(record.messages), bytearray(dump_frames(record))
    return record.status, tokens_of(record), head, messages, frames, record.position, record.owner


def save(db: sqlite3.Connection, values: Values) -> bool:
    """Write a turn; false when its owner is another by now, or it was forgotten."""
    return db.execute(_UPDATE, values).rowcount > 0


def get(db: sqlite3.Connection, conversation_id: str, turn_id: str) -> TurnRecord | None:
    """One whole turn."""
    row = db.execute(_GET, (conversation_id, turn_id)).fetchone()
    return _load(row) if row else None


def update(db: sqlite3.Connection, conversation_id: str, turn_id: str, change: Change) -> TurnRecord | None:
    """Change a stored turn."""
    record = get(db, conversation_id, turn_id)
    if record is not None:
        change(record)
        save(db, values_of(record))
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
            self._records = [_load(row) for row in self._rows]
        return self._records[index]

    def running(self) -> list[TurnRecord]:
        """Those that have not ended."""
        return [_load(row) for row in self._rows if row[4] == Status.RUNNING]


def history(db: sqlite3.Connection, conversation_id: str, tokens: int, before: int | None) -> LazyRecords:
    """The newest turns that fit the budget, at least one, oldest first."""
    # Never more rows than may fit: the sqlite3 module reads one ahead, with all that was said.
    most = max(tokens // LEAST_TOKENS, 1)
    cursor = db.execute(_HISTORY, (conversation_id, END_OF_JOURNAL if before is None else before, most))
    chosen: list[Row] = []
    for *row, size in cursor:
        tokens -= size
        if tokens < 0 and chosen:
            break
        chosen.append(tuple(row))
    cursor.close()
    return LazyRecords(chosen[::-1])


def page(
    db: sqlite3.Connection,
    after: int | None,
    conversation_id: str | None,
    since: float,
    newest_first: bool,
    columns: str = WHOLE,
) -> list[TurnRecord]:
    """The next turns of the journal; `columns` is WHOLE or HEADS."""
    edge = after if after is not None else (END_OF_JOURNAL if newest_first else 0)
    direction, order = ("<", "DESC") if newest_first else (">", "ASC")
    only, values = ("", ()) if conversation_id is None else ("AND conversation_id = ?", (conversation_id,))
    sql = _PAGE.format(columns=columns, direction=direction, order=order, only=only)
    return [_load(row) for row in db.execute(sql, (edge, since, *values, PAGE))]


def _load(row: Row) -> TurnRecord:
    position, head, messages, owner, status, frames = row
    record = load_record(head, position=position, messages=messages, frames=frames)
    record.owner, record.status = owner, STATUSES[status]
    return record
