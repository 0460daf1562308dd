"""A cache of the conversations that this worker used last, valid while no other worker writes.

With the cache, the next turn of a conversation begins with one INSERT and reads nothing. In a transaction that holds
the write lock, `data_version` shows whether another connection has written since the last check. If it has, or if a
transaction is rolled back, the whole cache is cleared. When this worker begins or saves a turn, it updates the entry of
the conversation. When it changes a conversation in another way, it drops the entry.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from .sqlite_history import Row, first_row

ROOM_BYTES = 8_000_000
"""Maximum size of the cache. The least recently used conversations are evicted first."""
OBJECT_BYTES = 250
"""Estimated bytes that Python needs for a row or a conversation, in addition to its contents."""


@dataclass(slots=True)
class Known:
    """A cached conversation: its newest turns within a token budget, oldest first, and its state and metadata."""

    tokens: int
    rows: list[Row]
    state: bytes
    metadata: bytes
    used: int = field(init=False)
    """Total tokens of the turns."""
    size: int = field(init=False)
    """Estimated size in bytes."""

    def __post_init__(self) -> None:
        self.used = sum(row[-1] for row in self.rows)
        self.size = OBJECT_BYTES + len(self.state) + len(self.metadata) + sum(map(size_of, self.rows))

    def past(self) -> list[Row]:
        """Drop the turns that left the history, but never the newest turn. Return a copy of the remaining rows."""
        rows = self.rows
        while self.used > self.tokens and len(rows) > 1:
            self._drop_oldest()
        for _ in range(first_row(rows, self.tokens)):
            self._drop_oldest()
        return rows.copy()

    def _drop_oldest(self) -> None:
        row = self.rows.pop(0)
        self.used -= row[-1]
        self.size -= size_of(row)

    def add(self, row: Row) -> None:
        """Append a turn."""
        self.rows.append(row)
        self.used += row[-1]
        self.size += size_of(row)

    def replace(self, row: Row) -> bool:
        """Replace the row of a turn. Return False if this conversation must then be removed from the cache.

        It must be removed if the turn is not cached, or if the turn has fewer tokens now.
        """
        place = len(self.rows) - 1
        while place >= 0 and self.rows[place][0] != row[0]:
            place -= 1
        if place < 0:
            return False
        old, self.rows[place] = self.rows[place], row
        self.used += row[-1] - old[-1]
        self.size += size_of(row) - size_of(old)
        # If the turn now has fewer tokens, the budget may also have room for an older turn, which is not in the cache.
        return old[-1] <= row[-1]


def size_of(row: Row) -> int:
    """Estimate a row's size in bytes."""
    return OBJECT_BYTES + len(row[1]) + len(row[2])


class Recent:
    """The cached conversations by id, least recently used first. Use it only on this worker's writing connection."""

    def __init__(self, room: int = ROOM_BYTES) -> None:
        self._room = room
        self._known: dict[str, Known] = {}
        self._size = 0
        self._version = -1
        self._sure = False

    def doubt(self) -> None:
        """Require a new check of `data_version`, because other workers may have written. Call this in each transaction.

        One check per transaction is enough: other workers cannot write until the transaction ends.
        """
        self._sure = False

    def take(self, db: sqlite3.Connection, conversation_id: str, tokens: int) -> Known | None:
        """Remove a conversation from the cache and return it, to be changed and passed to `keep`.

        Return None when it is not cached, or cached for another token budget.
        """
        if not self._sure:
            self._make_sure(db)
        known = self.drop(conversation_id)
        return known if known is not None and known.tokens == tokens else None

    def _make_sure(self, db: sqlite3.Connection) -> None:
        version = db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self.clear()
        self._version, self._sure = version, True

    def keep(self, conversation_id: str, known: Known) -> None:
        """Cache a conversation as the journal holds it now, and evict others to make room.

        A conversation that is larger than the whole cache is not cached.
        """
        if known.size > self._room:
            return
        self._known[conversation_id] = known
        self._size += known.size
        while self._size > self._room:
            self.drop(next(iter(self._known)))

    def saved(self, conversation_id: str, row: Row) -> None:
        """Update the cached conversation after a turn was saved as this row."""
        known = self.drop(conversation_id)
        if known is not None and known.replace(row):
            self.keep(conversation_id, known)

    def drop(self, conversation_id: str) -> Known | None:
        """Remove a conversation from the cache; return its entry, or None."""
        known = self._known.pop(conversation_id, None)
        if known is not None:
            self._size -= known.size
        return known

    def clear(self) -> None:
        """Clear the cache."""
        self._known.clear()
        self._size = 0
