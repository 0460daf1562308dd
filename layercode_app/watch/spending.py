"""Compute how much a conversation has spent. Each turn's record stores the sum that all earlier turns have spent.

Only the turns since the newest record with this sum are read: usually one, however long the call is. If no record
has a sum yet, because no budget was set, the whole conversation is read once. Data events are not in the history, so
they are read from the journal, but only in a conversation whose state says that they have spent something.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from ..journal.cost import cost_of
from ..journal.record import Kind, TurnRecord
from ..journal.stores.base import Store
from ..reports.figures import is_turn

READ_TOKENS = 1000
"""The size of the first read of older turns from the journal, in estimated tokens.

Older turns are read only if no turn in `history` stores a sum. Each further read is twice as large as the one before.
"""
LATE_SECONDS = 600.0
"""The age in seconds up to which the usage of a turn may still change.

Until then, the turn's worker may save the end of the turn, and its jobs may add usage to it. After that, the worker is
assumed to be dead.
"""


@dataclass
class Spent:
    """The dollars and tokens that turns and data events have spent."""

    cost: float = 0.0
    tokens: float = 0.0

    def add(self, cost: float, tokens: float) -> None:
        """Add dollars and tokens."""
        self.cost += cost
        self.tokens += tokens

    def count(self, record: TurnRecord) -> None:
        """Add the dollars and tokens that a turn or a data event has spent."""
        if is_turn(record) or (record.finished and record.kind is Kind.DATA):
            self.add(*cost_and_tokens(record))


def cost_and_tokens(record: TurnRecord) -> tuple[float, float]:
    """Return the dollars and tokens that one turn or data event spent."""
    return cost_of(record).amount, record.usage.get("input_tokens", 0) + record.usage.get("output_tokens", 0)


async def spent_before(store: Store, record: TurnRecord, history: Sequence[TurnRecord], *, data: bool = False) -> Spent:
    """Return the dollars and tokens that the conversation spent before this turn. Raises StoreError.

    `history` holds the newest earlier turns, as they were in the journal when this turn began. `data` tells whether
    data events have spent something, too.

    The sum is stored in this turn's record if it can no longer change: all earlier turns have ended, and so has the
    work that they started, such as the job of a summary. A turn that began more than LATE_SECONDS before this one is
    assumed to have ended, with all its work.
    """
    spent, settled = Spent(), True
    async for turn in _with_data(store, record) if data else _turns(store, record, history):
        spent.count(turn)
        settled = settled and _settled(turn, record)
        if turn.spent_before is not None:
            spent.add(**turn.spent_before)
            break
    record.spent_before = {"cost": spent.cost, "tokens": spent.tokens} if settled else None
    return spent


async def _turns(store: Store, record: TurnRecord, history: Sequence[TurnRecord]) -> AsyncIterator[TurnRecord]:
    """Yield the earlier turns, newest first."""
    tokens = READ_TOKENS
    while history:
        for turn in reversed(history):
            yield turn
        history = await store.history(record.conversation_id, tokens=tokens, before=history[0].position)
        tokens *= 2


async def _with_data(store: Store, record: TurnRecord) -> AsyncIterator[TurnRecord]:
    """Yield the earlier turns and data events, newest first. Unlike `_turns`, always read from the store."""
    async for turn in store.turns(conversation_id=record.conversation_id, newest_first=True, bodies=False):
        if turn.position < record.position and turn.kind is not Kind.SESSION:
            yield turn


def _settled(turn: TurnRecord, now: TurnRecord) -> bool:
    """Return whether the usage of an earlier turn can no longer change. `now` is the record of the current turn."""
    if now.started_at - turn.started_at > LATE_SECONDS:
        return True
    return turn.ended_at is not None and not turn.outlasting
