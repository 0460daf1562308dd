"""Turns in the SQLite journal. Every function except `page` runs inside a transaction that GroupCommit began."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeAlias

from ..record import Status, TurnRecord
from ..record_json import dump_frames, dump_head, from_json
from . import sqlite_conversations as conversations
from .base import SPEAKING_KINDS, Begun, Change, readable, tokens_of
from .sqlite_history import END_OF_JOURNAL, HEADS, WHOLE, LazyRecords, Row, load, newest
from .sqlite_recent import Known, Recent

Values: TypeAlias = tuple[str, int, bytearray, bytearray, bytearray, int, str, str]
"""The parameters of `_UPDATE`: status, tokens, head, messages and frames; then the position and owner to
match, and the status again.

The blobs are bytearrays: for `bytes` the sqlite3 module first looks for an adapter, which takes 10% of a save.
"""

PAGE = 200
SEARCHED = 50_000
"""How many of the newest turns `unfinished` searches."""
_INSERT = """
INSERT INTO turns
(conversation_id, turn_id, speaking, status, owner, agent, started_at, tokens, head, messages, frames)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, x'5b5d') ON CONFLICT DO NOTHING
"""
_UPDATE = """
UPDATE turns SET status = ?, tokens = ?, head = ?, messages = ?, frames = ?
WHERE position = ? AND owner = ? AND (status = 'running' OR ? <> 'running')
"""
_CLAIM = "UPDATE turns SET owner = ?, head = ? WHERE position = ?"
_GET = f"SELECT {WHOLE} FROM turns WHERE conversation_id = ? AND turn_id = ?"  # noqa: S608
_IS_STORED = "SELECT 1 FROM turns WHERE conversation_id = ? AND turn_id = ?"
_PAGE = """
SELECT {columns} FROM turns
WHERE position {direction} ? AND started_at >= ? {only} ORDER BY position {order} LIMIT ?
"""
_UNFINISHED = f"""
SELECT {HEADS} FROM turns
WHERE position > (SELECT ifnull(max(position), 0) FROM turns) - ? AND status = ? AND started_at >= ?
"""  # noqa: S608


def begin(db: sqlite3.Connection, record: TurnRecord, tokens: int, recent: Recent) -> Begun:
    """Insert a new turn and return its conversation's history, state and metadata.

    If the turn is stored already, return the stored turn instead.
    """
    speaking, row = record.kind in SPEAKING_KINDS, _row_of(record)
    position = _insert(db, record, speaking, row)
    if not position:
        stored = get(db, *record.key)
        assert stored is not None
        return Begun("finished" if stored.finished else "running", stored)
    record.position = position
    known = recent.take(db, record.conversation_id, tokens) or _read(db, record, tokens)
    past = LazyRecords(known.past())
    if speaking:
        known.add((position, *row[1:]))
    recent.keep(record.conversation_id, known)
    return Begun("new", record, past, past.running(), from_json(known.state), from_json(known.metadata))


def _insert(db: sqlite3.Connection, record: TurnRecord, speaking: bool, row: Row) -> int:
    """Insert a new turn; return its position, or 0 when the turn is stored already."""
    _, head, messages, owner, status, _, tokens = row
    ids = record.conversation_id, record.turn_id, int(speaking)
    bodies = tokens, bytearray(head), bytearray(messages)
    cursor = db.execute(_INSERT, (*ids, status, owner, record.agent, record.started_at, *bodies))
    return cursor.lastrowid or 0 if cursor.rowcount else 0


def _read(db: sqlite3.Connection, record: TurnRecord, tokens: int) -> Known:
    past = newest(db, record.conversation_id, tokens, record.position)
    return Known(tokens, past, *conversations.kept(db, record.conversation_id))


def claim(db: sqlite3.Connection, record: TurnRecord, owner: str) -> TurnRecord | None:
    """Assign a running turn to a new owner; return the turn as its former owner last wrote it.

    Return None if the turn has ended, or if its owner or attempt has changed since `record` was read.
    """
    stored = get(db, *record.key)
    if stored is None or stored.finished or (stored.owner, stored.attempt) != (record.owner, record.attempt):
        return None
    stored.owner, stored.attempt = owner, stored.attempt + 1
    db.execute(_CLAIM, (owner, dump_head(stored), stored.position))
    return stored


def _row_of(record: TurnRecord) -> Row:
    """Convert the present contents of a record to a row. The row has no frames."""
    # Copy the head: the encoder's result occupies a block of kilobytes, and this row may stay in the cache.
    head, messages, status = b"%b" % dump_head(record), record.messages, record.status
    return record.position, head, messages, record.owner, status, b"", tokens_of(record)


def _values_of(record: TurnRecord, row: Row) -> Values:
    position, head, messages, owner, status, _, tokens = row
    written = (status, tokens, bytearray(head), bytearray(messages), bytearray(dump_frames(record)))
    return *written, position, owner, status


def writing(record: TurnRecord) -> Callable[[sqlite3.Connection, Recent], bool]:
    """Return a function that saves the record as it is now.

    That function runs later. It returns false if another worker then owns the turn, if the turn was deleted, or if the
    stored turn has ended but this record is still running.
    """
    # Encode now, and not only when the batch runs: the record may change before then.
    conversation_id, row = record.conversation_id, _row_of(record)
    values = _values_of(record, row)

    def write(db: sqlite3.Connection, recent: Recent) -> bool:
        if not db.execute(_UPDATE, values).rowcount:
            return False
        recent.saved(conversation_id, row)
        return True

    return write


def get(db: sqlite3.Connection, conversation_id: str, turn_id: str) -> TurnRecord | None:
    """Return a whole turn, or None."""
    row = db.execute(_GET, (conversation_id, turn_id)).fetchone()
    return load(row) if row else None


def is_stored(db: sqlite3.Connection, conversation_id: str, turn_id: str) -> bool:
    """Return whether a turn is stored."""
    return db.execute(_IS_STORED, (conversation_id, turn_id)).fetchone() is not None


def update(db: sqlite3.Connection, conversation_id: str, turn_id: str, change: Change) -> TurnRecord | None:
    """Apply `change` to a stored turn; return the changed record, or None when there is no such turn."""
    record = get(db, conversation_id, turn_id)
    if record is not None:
        change(record)
        db.execute(_UPDATE, _values_of(record, _row_of(record)))
    return record


def page(
    db: sqlite3.Connection,
    after: int | None,
    conversation_id: str | None,
    since: float,
    newest_first: bool,
    columns: str = WHOLE,
) -> list[TurnRecord]:
    """Return the next page of turns after the position `after`, in journal order or newest first.

    `columns` is WHOLE, or HEADS to read the turns without their messages and frames.
    """
    edge = after if after is not None else (END_OF_JOURNAL if newest_first else 0)
    direction, order = ("<", "DESC") if newest_first else (">", "ASC")
    only, values = ("", ()) if conversation_id is None else ("AND conversation_id = ?", (conversation_id,))
    sql = _PAGE.format(columns=columns, direction=direction, order=order, only=only)
    return [load(row) for row in db.execute(sql, (edge, since, *values, PAGE))]


def unfinished(db: sqlite3.Connection, since: float) -> list[TurnRecord]:
    """Return the turns that are recorded as running and began at `since` or later.

    No index has the status of a turn. So only the newest `SEARCHED` turns are searched.
    """
    return list(readable(load, db.execute(_UNFINISHED, (SEARCHED, Status.RUNNING, since))))
