"""What this worker read or wrote last of its conversations: good while no other worker writes.

A turn that follows another one here then begins with one INSERT, and reads nothing. SQLite tells by `data_version`, in
a transaction that holds the write lock, whether another connection has written since it was asked last; if one has,
everything is forgotten. So is what a transaction did that was rolled back, and whatever else changes a conversation.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from .sqlite_history import Row

ROOM_BYTES = 8_000_000
"""So much is kept of all conversations; what was longest not asked for makes room."""
OBJECT_BYTES = 250
"""What Python takes for a row, or for a conversation, beside what is in it."""


@dataclass(slots=True)
class Known:
    """A conversation: its newest turns within a budget of tokens, oldest first, and what is kept beside them."""

    tokens: int
    rows: list[Row]
    state: bytes
    metadata: bytes
    used: int = field(init=False)
    """The tokens of its turns."""
    size: int = field(init=False)
    """Bytes."""

    def __post_init__(self) -> None:
        self.used = sum(row[-1] for row in self.rows)
        self.size = OBJECT_BYTES + len(self.state) + len(self.metadata) + sum(map(size_of, self.rows))

    def past(self) -> list[Row]:
        """The turns that fit the budget; at least the newest."""
        rows = self.rows
        while self.used > self.tokens and len(rows) > 1:
            row = rows.pop(0)
            self.used -= row[-1]
            self.size -= size_of(row)
        return rows.copy()

    def add(self, row: Row) -> None:
        """A turn follows."""
        self.rows.append(row)
        self.used += row[-1]
        self.size += size_of(row)

    def replace(self, row: Row) -> bool:
        """A turn was written again; false when what is known does not tell the past any more."""
        place = len(self.rows) - 1
        while place >= 0 and self.rows[place][0] != row[0]:
            place -= 1
        if place < 0:
            return False
        old, self.rows[place] = self.rows[place], row
        self.used += row[-1] - old[-1]
        self.size += size_of(row) - size_of(old)
        # Where it is smaller than before, an older one may fit that is not known.
        return old[-1] <= row[-1]


def size_of(row: Row) -> int:
    """A row's size in bytes."""
    return OBJECT_BYTES + len(row[1]) + len(row[2])


class Recent:
    """The conversations of this worker, by id. Used on the connection that it writes with, and no other."""

    def __init__(self, room: int = ROOM_BYTES) -> None:
        self._room = room
        self._known: dict[str, Known] = {}
        self._size = 0
        self._version = -1
        self._sure = False

    def doubt(self) -> None:
        """A transaction has begun: others may have written before it, and will not before it ends."""
        self._sure = False

    def take(self, db: sqlite3.Connection, conversation_id: str, tokens: int) -> Known | None:
        """What is known of a conversation, to change it and `keep` it; None when its past within this budget is not."""
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
        """This is what the journal has of the conversation now. One that would not fit alone takes no other's place."""
        if known.size > self._room:
            return
        self._known[conversation_id] = known
        self._size += known.size
        while self._size > self._room:
            self.drop(next(iter(self._known)))

    def saved(self, conversation_id: str, row: Row) -> None:
        """A turn was written again, as this row."""
        known = self.drop(conversation_id)
        if known is not None and known.replace(row):
            self.keep(conversation_id, known)

    def drop(self, conversation_id: str) -> Known | None:
        """The conversation was changed in another way; gives what was known of it."""
        known = self._known.pop(conversation_id, None)
        if known is not None:
            self._size -= known.size
        return known

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
        self._size = 0
