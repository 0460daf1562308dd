"""What this worker read or wrote last of its conversations: good while no other worker writes.

A turn that follows another one here then begins with one INSERT, and reads nothing. SQLite tells by `data_version`, in
a transaction that holds the write lock, whether another connection has written since it was asked last; if one has,
everything is forgotten. So is what a transaction did that was rolled back, and whatever else changes a conversation.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from dataclasses import dataclass

from .sqlite_history import Row

ROOM_BYTES = 8_000_000
"""So much is kept of all conversations; what was longest not asked for makes room."""


@dataclass(slots=True)
class Known:
    """A conversation: its newest turns within a budget of tokens, oldest first, and what is kept beside them."""

    tokens: int
    rows: list[Row]
    state: bytes
    metadata: bytes
    size: int = 0

    def measure(self) -> int:
        """Its size in bytes."""
        self.size = len(self.state) + len(self.metadata) + sum([len(row[1]) + len(row[2]) for row in self.rows])
        return self.size


class Recent:
    """The conversations of this worker, by id. Used on the connection that it writes with, and no other."""

    def __init__(self, room: int = ROOM_BYTES) -> None:
        self._room = room
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._size = 0
        self._version = -1
        self._sure = False

    def doubt(self) -> None:
        """A transaction has begun: others may have written before it, and will not before it ends."""
        self._sure = False

    def find(self, db: sqlite3.Connection, conversation_id: str, tokens: int) -> Known | None:
        """What is known of a conversation, with its past within this budget; None when it must be read."""
        if not self._sure:
            self._make_sure(db)
        known = self._known.get(conversation_id)
        return known if known is not None and known.tokens == tokens else None

    def _make_sure(self, db: sqlite3.Connection) -> None:
        version = db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self.clear()
        self._version, self._sure = version, True

    def keep(self, conversation_id: str, known: Known) -> None:
        """This is what the journal has of the conversation now."""
        self.drop(conversation_id)
        self._known[conversation_id] = known
        self._size += known.measure()
        while self._size > self._room:
            self.drop(next(iter(self._known)))

    def saved(self, conversation_id: str, row: Row) -> None:
        """A turn was written again, as this row."""
        known = self._known.get(conversation_id)
        if known is None:
            return
        for place in range(len(known.rows) - 1, -1, -1):
            if known.rows[place][0] == row[0]:
                if known.rows[place][-1] <= row[-1]:
                    known.rows[place] = row
                    return
                break  # it is smaller now, so that an older one may fit
        self.drop(conversation_id)

    def drop(self, conversation_id: str) -> None:
        """The conversation was changed in another way."""
        known = self._known.pop(conversation_id, None)
        if known is not None:
            self._size -= known.size

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
        self._size = 0
