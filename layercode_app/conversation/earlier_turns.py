"""Prepare the history of a turn before it speaks: end older turns, and correct them to what the caller heard."""

from __future__ import annotations

from typing import TypeAlias

from loguru import logger

from ..journal.record import TurnRecord
from ..journal.stores.base import Begun, Store
from ..webhook import InterruptionContext, Message, TurnEvent
from . import delivery
from .heard import correct

Early: TypeAlias = dict[tuple[str, str], InterruptionContext]
"""Interruptions of turns that had not begun yet, by conversation and turn id."""
MOST_EARLY = 1000
"""Maximum number of early interruptions that a worker remembers; the oldest are dropped first."""


async def settle(
    store: Store, event: TurnEvent, begun: Begun, record: TurnRecord, *, tokens: int, early: Early
) -> None:
    """End older turns that still run, apply the event's interruption, and reload the history if either changed it.

    An interruption may overtake the turn that it names; it is then added to `early`.
    """
    for turn in begun.displaced:
        await delivery.displace(store, turn)
    if begun.displaced:
        # The displaced turns may have changed the state until they ended.
        begun.state = (await store.conversation(record.conversation_id)).state
    stale = bool(begun.displaced)
    context = event.interruption_context if isinstance(event, Message) else None
    if context is not None and begun.outcome == "new":
        stale = await _correct(store, context, begun, record, early) or stale
    if stale:
        begun.history = await store.history(record.conversation_id, tokens=tokens, before=record.position)


async def reload(store: Store, begun: Begun, *, tokens: int) -> None:
    """Reload the state, metadata and history for a turn that is taken over from a dead worker."""
    record = begun.record
    kept = await store.conversation(record.conversation_id)
    begun.state, begun.metadata = kept.state, kept.metadata
    begun.history = await store.history(record.conversation_id, tokens=tokens, before=record.position)


async def apply_early(store: Store, record: TurnRecord, early: Early) -> None:
    """Correct a turn that has ended by the interruption that overtook it."""
    if (context := early.pop(record.key, None)) is not None:
        await store.update(*record.key, lambda past: correct(past, context))


async def _correct(store: Store, context: InterruptionContext, begun: Begun, record: TurnRecord, early: Early) -> bool:
    """Correct the turn that the context names, or the newest one; return whether it was in the journal."""
    if not (context.previous_turn_interrupted or context.text_heard is not None):
        return False
    named = context.assistant_turn_id or (begun.history[-1].turn_id if begun.history else "")
    changed = await store.update(record.conversation_id, named, lambda past: correct(past, context))
    if changed is None:
        logger.warning("An interruption names a turn that is not in the journal: {}", named)
        early[record.conversation_id, named] = context
        if len(early) > MOST_EARLY:
            del early[next(iter(early))]
    return changed is not None
