"""Compute the values of alert rules, mostly from the journal's turns, which are read from the newest backwards."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from loguru import logger

from ..journal.record import TurnRecord
from ..journal.stores.base import Store
from ..reports.figures import is_counted
from ..reports.tally import Tally
from .metrics import REFUSALS, SYSTEM
from .refusals import Refusals
from .rules import Rule
from .system import System
from .witness import Witness

LATE_SECONDS = 300.0
"""Tolerated clock error in seconds: start times in the journal may be out of order by this much."""
BREATH, BREATH_SECONDS = 50, 0.002
"""Reading pauses for BREATH_SECONDS after every BREATH records, so that calls can use the event loop."""
BASELINE_SECONDS = 600.0
"""How long a baseline is cached."""


Counted: TypeAlias = tuple[Tally, Witness]
"""The turns of a window, and the example turn among them."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of a rule's metric in a window, the number of turns in the window, and the trace of an example turn."""

    value: float | None
    turns: int = 0
    trace_id: str = ""
    of_turns: bool = True
    """False for a metric that is not computed from turns."""


class Windows:
    """A reader of the journal that computes each alert rule's value, and the limit with which it is compared."""

    def __init__(self, store: Store, refusals: Refusals, system: System) -> None:
        self._store = store
        self._refusals = refusals
        self._system = system
        self._baselines: dict[str, tuple[float, float | None]] = {}

    async def count(self, rules: Sequence[Rule], now: float) -> dict[str, Counted]:
        """Count the turns of each rule's current window, by the rule's name. The journal is read once for all rules."""
        witnesses: dict[str, Witness] = {rule.name: Witness(rule) for rule in rules}
        spans = {rule.name: (now - rule.window, now) for rule in rules}
        tallies = await self._count(rules, spans, now, witnesses)
        return {rule.name: (tallies[rule.name], witnesses[rule.name]) for rule in rules}

    async def reading(self, rule: Rule, counted: Counted, now: float) -> Reading:
        """Return the reading of a rule's current window. `counted` is what the method `count` returned for the rule."""
        beside = await self._beside(rule, now - rule.window, now)
        if beside is not None:
            return beside
        tally, witness = counted
        return Reading(rule.reader.read(tally, rule.of), tally.turns, witness.trace_id)

    async def _beside(self, rule: Rule, since: float, until: float) -> Reading | None:
        """Return the reading of the rule's metric if the metric is about refused requests or about the host.

        Return None if the metric is about turns.
        """
        if rule.metric in REFUSALS:
            return Reading(await self._refusals.between(rule.metric, since, until), of_turns=False)
        if rule.metric in SYSTEM:
            return Reading(await self._system.between(rule.metric, since, until), of_turns=False)
        return None

    async def limit(self, rule: Rule, now: float) -> float | None:
        """Return the limit with which the value is compared; None if the baseline has no data or is 0."""
        if rule.baseline is None:
            return rule.limit
        known = self._baselines.get(rule.name)
        if known is None or abs(now - known[0]) > BASELINE_SECONDS:
            known = self._baselines[rule.name] = now, await self._baseline(rule, now)
        return None if known[1] is None else rule.limit * known[1]

    async def _baseline(self, rule: Rule, now: float) -> float | None:
        """Return the metric's value over the period before the window; None if there are no data, or if it is 0.

        A sum is scaled to the window's length.
        """
        assert rule.baseline is not None
        until, since = now - rule.window, now - rule.window - rule.baseline
        if (beside := await self._beside(rule, since, until)) is not None:
            value, begun = beside.value, since
        else:
            tally = (await self._count([rule], {rule.name: (since, until)}, now))[rule.name]
            value, begun = rule.reader.read(tally, rule.of), max(since, self._oldest)
            value = value if tally.turns else None
        if not value:
            return None
        # A new journal covers only part of the period, so scale by the part that it covers.
        return value * rule.window / max(until - begun, rule.window) if rule.reader.grows else value

    async def _count(
        self,
        rules: Sequence[Rule],
        spans: dict[str, tuple[float, float]],
        now: float,
        witnesses: Mapping[str, Witness] | None = None,
    ) -> dict[str, Tally]:
        tallies = {rule.name: Tally(rule.name) for rule in rules}
        self._oldest = now
        reading = [rule for rule in rules if rule.metric not in (*REFUSALS, *SYSTEM)]
        if not reading:
            return tallies
        farthest = min(spans[rule.name][0] for rule in reading)
        read = 0
        async for record in self._store.turns(newest_first=True, bodies=False):
            read += 1
            if read % BREATH == 0:
                # Calls have priority over alerts.
                await asyncio.sleep(BREATH_SECONDS)
            if record.started_at < farthest - LATE_SECONDS:
                break
            if not is_counted(record):
                continue
            self._oldest = min(self._oldest, record.started_at)
            ended = record.ended_at or record.started_at
            for rule in reading:
                since, until = spans[rule.name]
                if since <= ended < until + 1 and rule.agent in (None, record.agent):
                    _add(record, tallies[rule.name], witnesses[rule.name] if witnesses else None)
        return tallies


def _add(record: TurnRecord, tally: Tally, witness: Witness | None) -> None:
    """Count a turn. A turn that cannot be counted must not disable the alert rules, so it is skipped."""
    try:
        tally.add(record)
        if witness is not None:
            witness.look_at(record)
    except Exception as error:  # noqa: BLE001
        logger.opt(exception=error).error("The alert {} does not count turn {}", tally.key, record.turn_id)
