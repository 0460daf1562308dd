"""Keep marks of forgotten conversations whose text may still be in the write-ahead log.

A mark is set when a conversation is deleted. It is cleared after any worker has truncated the log. The marks are rows
in the table of signals, so that they outlive a process that ends before it could truncate the log.
"""

from __future__ import annotations

import sqlite3

OWNER = "truncate the log"
"""The value of the column `owner` in the row of a mark. In the row of a signal, the value is the hexadecimal id of a
worker."""


def mark(db: sqlite3.Connection) -> None:
    """Add the mark of a forgotten conversation: it says that the write-ahead log must be truncated.

    Call this in the transaction that deletes the conversation.
    """
    db.execute("INSERT INTO signals (owner, body) VALUES (?, x'')", (OWNER,))


def newest(db: sqlite3.Connection) -> int:
    """Return the number of the newest mark of a forgotten conversation, or 0 if there is none."""
    return int(db.execute("SELECT coalesce(max(id), 0) FROM signals WHERE owner = ?", (OWNER,)).fetchone()[0])


def clear(db: sqlite3.Connection, newest_mark: int) -> None:
    """Delete the marks of forgotten conversations up to the number `newest_mark`. Call this after truncating the log.

    The call may wait up to a second for other writers.
    """
    db.execute("PRAGMA busy_timeout=1000")
    try:
        db.execute("DELETE FROM signals WHERE owner = ? AND id <= ?", (OWNER, newest_mark))
    finally:
        db.execute("PRAGMA busy_timeout=0")
