"""Find the first answer of each conversation in a report.

If a conversation began before the report's period, none of its turns in the report is the first answer.
"""

from __future__ import annotations

from ..journal.record import Kind, TurnRecord
from ..journal.stores.base import Store
from .figures import interrupted
from .many import Distinct


class FirstAnswers:
    """Finds the turns of a report that are the first answer of their conversation.

    `since` is the time at which the report's period begins, in epoch seconds; 0 for the whole journal.
    """

    def __init__(self, store: Store, since: float) -> None:
        self._store, self._since = store, since
        self._answered = Distinct()
        self._opening = 0
        """The position of the first turn that was given to `is_first`; 0 before the first call."""

    async def is_first(self, record: TurnRecord) -> bool:
        """Return whether a turn is the first answer in its conversation. Call this for all turns, in order.

        If the first answer of a conversation was interrupted, no turn of the conversation is a first answer.
        """
        self._opening = self._opening or record.position
        if record.kind is not Kind.MESSAGE or record.conversation_id in self._answered:
            return False
        self._answered.add(record.conversation_id)
        return not interrupted(record) and not (self._since and await self._began_before(record))

    async def _began_before(self, record: TurnRecord) -> bool:
        """Return whether the conversation has turns before the period."""
        if record.history_start:
            # The record tells where its history begins. A query for each of many conversations would be slow.
            return record.history_start < self._opening
        return bool(await self._store.history(record.conversation_id, tokens=0, before=record.position))
