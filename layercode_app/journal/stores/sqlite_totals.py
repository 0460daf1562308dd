"""Totals in the SQLite journal: named amounts by key. They outlive the turns from which they were counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

SCHEMA = """
CREATE TABLE IF NOT EXISTS totals (
    key TEXT NOT NULL, name TEXT NOT NULL, amount REAL NOT NULL, PRIMARY KEY (key, name)
) WITHOUT ROWID;
"""
_ADD = "INSERT INTO totals VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount"


def add(db: sqlite3.Connection, key: str, amounts: Mapping[str, float]) -> dict[str, float]:
    """Add amounts to the totals of a key; return the totals."""
    db.executemany(_ADD, [(key, name, amount) for name, amount in amounts.items()])
    return dict(db.execute("SELECT name, amount FROM totals WHERE key = ?", (key,)))


def read(db: sqlite3.Connection, prefix: str) -> dict[str, dict[str, float]]:
    """Return the totals of every key that begins with `prefix`, sorted by key."""
    found: dict[str, dict[str, float]] = {}
    rows = db.execute(
        "SELECT key, name, amount FROM totals WHERE key >= ? AND substr(key, 1, ?) = ? ORDER BY key",
        (prefix, len(prefix), prefix),
    )
    for key, name, amount in rows:
        found.setdefault(key, {})[name] = amount
    return found


def drop(db: sqlite3.Connection, prefix: str, before: str) -> None:
    """Delete the totals of each key that begins with `prefix` and sorts before the key `before`."""
    db.execute("DELETE FROM totals WHERE key < ? AND substr(key, 1, ?) = ?", (before, len(prefix), prefix))
