"""Enforce the budgets of a conversation and of a day: log a warning first, then refuse turns.

A conversation's spending is stored in the records of its turns, and a day's spending in the usage totals. Both count
the turns of all workers and hosts. A budget is checked before a turn, so the turn that crosses it is still answered.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from loguru import logger

from ..exceptions import ConfigurationError, StoreError
from ..journal.cost import DATA_COSTS, dollars
from ..journal.record import Json, Kind, TurnRecord
from ..journal.stores.base import Store
from ..reports.usage_totals import totals_by_day
from ..settings import Settings
from .pending import PendingTotals
from .spending import spent_before

WARNED = "warned/"
CALL_WARNED = "layercode.budget_warned"
"""A key of a conversation's state. Its value is the budget about which a warning was logged."""
_AMOUNT = re.compile(r"(?:\$\s*)?(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)\s*([kM])?\s*tokens")
_SCALE = {None: 1.0, "k": 1e3, "M": 1e6}


@dataclass(frozen=True)
class Amount:
    """A spending limit in dollars or tokens."""

    limit: float
    unit: str

    def of(self, cost: float, tokens: float) -> float:
        """Return the cost or the tokens, depending on this limit's unit."""
        return cost if self.unit == "$" else tokens

    def __str__(self) -> str:
        return dollars(self.limit) if self.unit == "$" else f"{self.limit:,.0f} tokens"


def parse_amount(text: str, setting: str) -> Amount | None:
    """Parse "$5", "5" or "200k tokens"; return None for an empty text. Raises ConfigurationError for other text."""
    if not text.strip():
        return None
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(f"The setting {setting} is wrong: {text!r}; expected $5, 0.50, or 200k tokens.")
    return Amount(float(match[1]), "$") if match[1] else Amount(float(match[2]) * _SCALE[match[3]], "tokens")


class Budgets:
    """The budgets of this installation. Raises ConfigurationError for a budget that cannot be parsed."""

    def __init__(self, settings: Settings, store: Store, pending: PendingTotals) -> None:
        self._store = store
        self._pending = pending
        self._conversation = parse_amount(settings.budget_conversation, "LAYERCODE_BUDGET_CONVERSATION")
        self._day = parse_amount(settings.budget_day, "LAYERCODE_BUDGET_DAY")
        self._warning = settings.budget_warning
        self._refusal = settings.budget_refusal
        self._warned_on = ""
        """The day for which this worker does not ask the store again who logs the warning."""

    @property
    def any(self) -> bool:
        """True if a budget is set."""
        return self._day is not None or self._conversation is not None

    async def refusal(self, record: TurnRecord, history: Sequence[TurnRecord], state: Mapping[str, Json]) -> str | None:
        """Return the text to speak instead of an answer, or None if the turn may be answered. Raises StoreError.

        Only messages are refused. `history` holds the newest turns before the turn `record`. `state` is the state of
        the conversation.
        """
        if record.kind is not Kind.MESSAGE:
            return None
        if self._day is not None and await self._spent_today(self._day):
            return self._refusal
        if self._conversation is not None and await self._spent(self._conversation, record, history, state):
            return self._refusal
        return None

    async def _spent_today(self, amount: Amount) -> bool:
        await self._pending.flush()
        today = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%d")
        totals = (await totals_by_day(self._store, today)).get(today, {})
        tokens = totals.get("input_tokens", 0) + totals.get("output_tokens", 0)
        spent = amount.of(totals.get("cost", 0.0), tokens)
        if self._warns(spent, amount) and await self._first(today):
            logger.warning("The day's budget of {} is {:.0%} used", amount, spent / amount.limit)
        return spent >= amount.limit

    async def _spent(
        self, amount: Amount, current: TurnRecord, history: Sequence[TurnRecord], state: Mapping[str, Json]
    ) -> bool:
        known = await spent_before(self._store, current, history, data=DATA_COSTS in state)
        spent = amount.of(known.cost, known.tokens)
        if self._warns(spent, amount) and state.get(CALL_WARNED) != str(amount):
            logger.warning("The conversation's budget of {} is {:.0%} used", amount, spent / amount.limit)
            await self._store.save_state(current.conversation_id, {CALL_WARNED: str(amount)}, turn_id=current.turn_id)
        return spent >= amount.limit

    def _warns(self, spent: float, amount: Amount) -> bool:
        return spent >= amount.limit * self._warning

    async def _first(self, day: str) -> bool:
        """Return whether this is the first warning about the budget of this day, in any worker. Raises StoreError."""
        if self._warned_on == day:
            return False
        self._warned_on = day
        request_id = f"{WARNED}{day}/{self._store.owner}"
        try:
            warned = await self._store.add_totals(f"{WARNED}{day}", {"budget": 1}, request_id=request_id)
        except StoreError:
            self._warned_on = ""  # The next turn tries again.
            raise
        return warned["budget"] == 1
