"""Compute what a conversation has spent. Each turn's record stores the sum that all turns before it have spent.

Only the turns since the newest record with such a sum are read: usually one, however long the call is. If no record
has a sum yet, because no budget was set, the whole conversation is read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..journal.cost import cost_of
from ..journal.record import TurnRecord
from ..journal.stores.base import Store
from ..reports.figures import is_turn

READ_TOKENS = 1000
"""Estimated tokens of history to read first if `history` holds no sum. Each further read doubles the number."""
LATE_SECONDS = 600.0
"""A turn without an end may still be saved by its worker until it is this old; then its worker is assumed dead."""


@dataclass
class Spent:
    """The dollars and tokens that turns have spent, and the newest of these turns."""

    cost: float = 0.0
    tokens: float = 0.0
    last: TurnRecord | None = None

    def add(self, cost: float, tokens: float) -> None:
        """Add dollars and tokens."""
        self.cost += cost
        self.tokens += tokens


def cost_and_tokens(record: TurnRecord | None) -> tuple[float, float]:
    """Return the dollars and tokens that one turn spent; zeros for None."""
    if record is None:
        return 0.0, 0.0
    return cost_of(record).amount, record.usage.get("input_tokens", 0) + record.usage.get("output_tokens", 0)


async def spent_before(store: Store, record: TurnRecord, history: Sequence[TurnRecord]) -> Spent:
    """Return the dollars and tokens that the conversation spent before this turn. Raises StoreError.

    `history` holds the newest earlier turns, as they were in the journal when this turn began. The sum is stored in
    this turn's record if it is final. It is not final while an earlier turn is running, unless that turn began more
    than LATE_SECONDS before this one.
    """
    spent, settled, tokens = Spent(), True, READ_TOKENS
    while history:
        for turn in reversed(history):
            if is_turn(turn):
                spent.add(*cost_and_tokens(turn))
                spent.last = spent.last or turn
            settled = settled and _settled(turn, record)
            if turn.spent_before is not None:
                spent.add(**turn.spent_before)
                return _known(record, spent, settled)
        history = await store.history(record.conversation_id, tokens=tokens, before=history[0].position)
        tokens *= 2
    return _known(record, spent, settled)


def _settled(turn: TurnRecord, now: TurnRecord) -> bool:
    return turn.ended_at is not None or now.started_at - turn.started_at > LATE_SECONDS


def _known(record: TurnRecord, spent: Spent, settled: bool) -> Spent:
    record.spent_before = {"cost": spent.cost, "tokens": spent.tokens} if settled else None
    return spent
