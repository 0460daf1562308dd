"""What a conversation has spent, carried from turn to turn: each record knows what all before it came to.

Only the turns since the newest record that knows are read, which is one as a rule, however long the call. A journal
in which no record knows yet, because no budget was set, is read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..conversation.cost import cost_of
from ..conversation.record import TurnRecord
from ..conversation.stores.base import Store
from ..reports.figures import is_turn

READ_TOKENS = 1000
"""How much more of the past is read at first, by the journal's own estimate; then twice as much each time."""
LATE_SECONDS = 600.0
"""A turn that did not end may still be saved by its worker, when the journal is back; older ones have died."""


@dataclass
class Spent:
    """Dollars and tokens; `last` is the newest turn's share of them."""

    cost: float = 0.0
    tokens: float = 0.0
    last: TurnRecord | None = None

    def add(self, cost: float, tokens: float) -> None:
        """Count some more."""
        self.cost += cost
        self.tokens += tokens


def cost_and_tokens(record: TurnRecord | None) -> tuple[float, float]:
    """What one turn spent."""
    if record is None:
        return 0.0, 0.0
    return cost_of(record).amount, record.usage.get("input_tokens", 0) + record.usage.get("output_tokens", 0)


async def spent_before(store: Store, record: TurnRecord, history: Sequence[TurnRecord]) -> Spent:
    """What the turns before this one spent, which its record knows from now on. Raises StoreError.

    `history` is the newest of them, as the journal had them when this turn was begun.
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
