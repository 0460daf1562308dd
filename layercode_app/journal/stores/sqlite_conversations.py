"""Read, merge, list and delete conversations in the SQLite journal, and store the signals between workers."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping

from ..record import Json, Status
from ..record_json import from_json, to_json
from .base import Conversation, Signal, Summary, check_unchanged

_LIST = """
SELECT conversation_id, (SELECT agent FROM turns WHERE position = first), spoken, started_at, last_at FROM (
    SELECT conversation_id, min(position) AS first, sum(speaking) AS spoken, min(started_at) AS started_at,
        max(started_at) AS last_at
    FROM turns GROUP BY conversation_id ORDER BY last_at DESC LIMIT ?
) ORDER BY last_at DESC
"""
_SILENT = """
SELECT conversation_id FROM turns GROUP BY conversation_id HAVING max(started_at) < :before
UNION ALL
SELECT conversation_id FROM conversations
WHERE touched_at < :before AND conversation_id NOT IN (SELECT conversation_id FROM turns)
"""
_LAST = "SELECT coalesce(max(started_at), 0) FROM turns WHERE conversation_id = ?"


def kept(db: sqlite3.Connection, conversation_id: str) -> tuple[bytes, bytes]:
    """Return state and metadata of a conversation as JSON."""
    sql = "SELECT state, metadata FROM conversations WHERE conversation_id = ?"
    return db.execute(sql, (conversation_id,)).fetchone() or (b"{}", b"{}")


def read(db: sqlite3.Connection, conversation_id: str) -> Conversation:
    """Return state and metadata of a conversation."""
    return Conversation(conversation_id, *map(from_json, kept(db, conversation_id)))


def merge(
    db: sqlite3.Connection,
    conversation_id: str,
    state: dict[str, Json],
    metadata: dict[str, Json],
    based_on: Mapping[str, Json] | None = None,
) -> None:
    """Merge these fields into a conversation's state and metadata. Raises StateChangedError; see `Store.save`."""
    before = read(db, conversation_id)
    check_unchanged(before.state, state, based_on)
    row = (conversation_id, to_json(before.state | state), to_json(before.metadata | metadata), time.time())
    db.execute("INSERT OR REPLACE INTO conversations VALUES (?, ?, ?, ?)", row)


def newest(db: sqlite3.Connection, limit: int) -> list[Summary]:
    """Return the conversations with the newest turns, newest first."""
    return [Summary(*row) for row in db.execute(_LIST, (limit,))]


def size(db: sqlite3.Connection) -> tuple[int, int, float | None]:
    """Return the number of turns, the number of conversations with turns, and the time when the first turn began."""
    row = db.execute("SELECT count(*), count(DISTINCT conversation_id), min(started_at) FROM turns").fetchone()
    return row[0], row[1], row[2]


def established(db: sqlite3.Connection) -> list[str]:
    """Return the ids of all conversations that have state or metadata."""
    return [row[0] for row in db.execute("SELECT conversation_id FROM conversations ORDER BY touched_at")]


def silent(db: sqlite3.Connection, before: float) -> list[str]:
    """Return the ids of conversations without a turn since `before` (epoch seconds).

    For a conversation that never had a turn, the last write of its state or metadata counts.
    """
    return [row[0] for row in db.execute(_SILENT, {"before": before})]


def forget(db: sqlite3.Connection, conversation_id: str) -> int:
    """Delete a conversation with its turns and jobs; return the number of turns."""
    for table in ("conversations", "jobs"):
        db.execute(f"DELETE FROM {table} WHERE conversation_id = ?", (conversation_id,))  # noqa: S608
    return db.execute("DELETE FROM turns WHERE conversation_id = ?", (conversation_id,)).rowcount


def forget_silent(db: sqlite3.Connection, names: list[str], before: float) -> int:
    """Delete each named conversation that had no turn since `before`. Return the number of deleted turns."""
    return sum(forget(db, name) for name in names if db.execute(_LAST, (name,)).fetchone()[0] < before)


# --- signals


def send(db: sqlite3.Connection, owner: str, signal: Signal) -> None:
    """Store a signal for a worker."""
    db.execute("INSERT INTO signals (owner, body) VALUES (?, ?)", (owner, to_json(signal)))


def take_signals(db: sqlite3.Connection, owner: str) -> list[Signal]:
    """Remove the signals for a worker and return them, oldest first."""
    rows = db.execute("SELECT id, body FROM signals WHERE owner = ? ORDER BY id", (owner,)).fetchall()
    if rows:
        db.execute("DELETE FROM signals WHERE owner = ? AND id <= ?", (owner, rows[-1][0]))
    return [signal_of(body) for _, body in rows]


def drop_signals(db: sqlite3.Connection, kept: list[str]) -> None:
    """Delete all signals except those sent to the workers in `kept`."""
    db.execute(f"DELETE FROM signals WHERE owner NOT IN ({', '.join('?' * len(kept))})", kept)  # noqa: S608


def signal_of(body: bytes) -> Signal:
    """Decode a signal that `to_json` encoded."""
    values = from_json(body)
    turn = values["conversation_id"], values["turn_id"], Status(values["status"])
    return Signal(values["kind"], *turn, values.get("heard"), values.get("scores"))
