"""Prepare a turn's history before the agent speaks: end older turns, and correct their text to what was heard.

Webhooks can arrive out of order. If a turn that has begun earlier reports the interruption of this turn, then this turn
is the older one.
"""

from __future__ import annotations

from ..journal.record import Status, TurnRecord
from ..journal.stores.base import Begun, LazyHistory, Store
from ..webhook import InterruptionContext, Message, TurnEvent
from . import delivery
from .corrections import Corrections
from .heard import correct
from .live import LiveTurn
from .prepare_and_save import Services


def report_in(turn: TurnRecord, turn_id: str) -> InterruptionContext | None:
    """Return the report in a turn's message that the turn `turn_id` was interrupted; None if there is none."""
    event = turn.event if isinstance(turn.event, dict) else {}
    told = event.get("interruption_context")
    if not told or told.get("assistant_turn_id") != turn_id:
        return None
    context = InterruptionContext.model_validate(told)
    return context if _tells_what_was_heard(context) else None


def stop_if_interrupted(live: LiveTurn, begun: Begun) -> None:
    """Stop a turn that begins if a newer turn already reports its interruption. The newer turn goes on."""
    history, turn_id = begun.history, live.record.turn_id
    if isinstance(history, LazyHistory) and not history.may_name(turn_id):
        return
    for turn in history:
        if (context := report_in(turn, turn_id)) is not None:
            begun.displaced = [running for running in begun.displaced if running.turn_id != turn.turn_id]
            correct(live.record, context)
            live.stop(Status.INTERRUPTED)


async def settle(services: Services, event: TurnEvent, begun: Begun, corrections: Corrections, *, tokens: int) -> None:
    """End older turns that still run, apply the event's interruption, and reload the history if it may have changed.

    When a turn is taken over from a dead worker, this function is called again, because that worker may have died
    before it had done all of this.
    """
    store, record = services.store, begun.record
    slow = [turn for turn in begun.displaced if not await _displaced(services, turn)]
    if begun.displaced:
        # The displaced turns may have changed the state until they ended.
        begun.state = (await store.conversation(record.conversation_id)).state
    stale = bool(begun.displaced)
    context = event.interruption_context if isinstance(event, Message) else None
    if context is not None and _tells_what_was_heard(context):
        named = context.assistant_turn_id or (begun.history[-1].turn_id if begun.history else "")
        stale = await corrections.apply(context, (record.conversation_id, named)) or stale
        for turn in slow:
            if turn.turn_id == named:
                await corrections.send(context, turn)
    if stale:
        begun.history = await store.history(record.conversation_id, tokens=tokens, before=record.position)


async def _displaced(services: Services, turn: TurnRecord) -> bool:
    posts = bool(services.limits.handoff_url)
    return await delivery.displace(services.store, turn, posts_handoffs=posts, crashed=services.crashed)


def _tells_what_was_heard(context: InterruptionContext) -> bool:
    if context.previous_turn_interrupted is None:  # Every field is optional.
        return context.text_heard is not None
    return context.previous_turn_interrupted


async def reload(store: Store, begun: Begun, *, tokens: int) -> None:
    """Read the state, metadata and earlier turns of a conversation from the journal again, after a turn has begun."""
    record = begun.record
    kept = await store.conversation(record.conversation_id)
    begun.state, begun.metadata = kept.state, kept.metadata
    begun.history = await store.history(record.conversation_id, tokens=tokens, before=record.position)
    begun.displaced = [turn for turn in begun.history if not turn.finished]
