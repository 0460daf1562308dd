"""The tables of the SQLite journal."""

from __future__ import annotations

import sqlite3

from . import sqlite_totals as totals

VERSION = 1
"""Schema version, stored as `user_version`. A journal of another version is refused rather than misread."""

_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS turns (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id TEXT NOT NULL, turn_id TEXT NOT NULL, speaking INTEGER NOT NULL,
    status TEXT NOT NULL, owner TEXT NOT NULL, agent TEXT NOT NULL, started_at REAL NOT NULL,
    tokens INTEGER NOT NULL, head BLOB NOT NULL, messages BLOB NOT NULL, frames BLOB NOT NULL,
    UNIQUE (conversation_id, turn_id)
);
CREATE INDEX IF NOT EXISTS speaking_turns ON turns (conversation_id, position) WHERE speaking;
CREATE TABLE IF NOT EXISTS conversations (
    conversation_id TEXT PRIMARY KEY, state BLOB NOT NULL, metadata BLOB NOT NULL, touched_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signals (id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL, due_at REAL NOT NULL, leased_until REAL NOT NULL,
    done_at REAL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS due_jobs ON jobs (due_at) WHERE done_at IS NULL;
"""


def prepare(db: sqlite3.Connection) -> None:
    """Create the tables of a new journal."""
    if has_journal(db):
        return
    # Use one transaction, so that a worker that starts at the same time sees all tables or none.
    db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {totals.SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")


def has_journal(db: sqlite3.Connection) -> bool:
    """Return whether the tables exist; false for an empty file.

    Raises sqlite3.DatabaseError for the database of another program, and for a journal of another version.
    """
    # Use one transaction, because another worker may create the tables between the two statements.
    db.execute("BEGIN")
    try:
        found = db.execute("PRAGMA user_version").fetchone()[0]
        tables = [name for (name,) in db.execute(_TABLES)]
    finally:
        db.execute("ROLLBACK")
    if tables and "turns" not in tables:
        raise sqlite3.DatabaseError(
            f"it is the database of another program, with the table {tables[0]!r} but no journal; choose another file"
        )
    if found != VERSION and (found or tables):
        raise sqlite3.DatabaseError(
            f"it has schema version {found}, but this release reads version {VERSION}; move the file away"
        )
    return bool(tables)
