"""Correct the journal from the platform's transcript of a session, which shows how much of each reply was played."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial

from ..journal.record import TurnRecord
from ..journal.stores.base import SPEAKING_KINDS, Store
from ..webhook import InterruptionContext, SessionEnd
from .delivery import wait_until_ended
from .heard import correct


async def reconcile(store: Store, event: SessionEnd) -> int:
    """Wait up to `DISPLACE_SECONDS` until the session's turns have ended, then correct them by the transcript.

    A turn may still be running, because the caller may hang up while the agent speaks. Each turn that was not played to
    its end is corrected. Return the number of corrected turns. Raises StoreError.
    """
    turns = await _spoken_in(store, event)
    running = [turn for turn in turns if not turn.finished]
    if running:
        await asyncio.gather(*[wait_until_ended(store, turn) for turn in running])
        turns = [turn for turn in await _spoken_in(store, event) if turn.finished]
    said = [entry.text for entry in event.transcript if entry.role in ("assistant", "agent") and entry.text.strip()]
    shorter = list(shortened(turns, said))
    for turn, text in shorter:
        context = InterruptionContext(previous_turn_interrupted=True, text_heard=text)
        await store.update(*turn.key, partial(correct, context=context))
    return len(shorter)


async def _spoken_in(store: Store, event: SessionEnd) -> list[TurnRecord]:
    turns = store.turns(conversation_id=event.conversation_id, bodies=False)
    return [turn async for turn in turns if turn.session_id == event.session_id and turn.kind in SPEAKING_KINDS]


def shortened(turns: Sequence[TurnRecord], said: Sequence[str]) -> Iterable[tuple[TurnRecord, str]]:
    """Yield each turn that was not played to its end, together with its line in the transcript.

    Each line is matched to the next turn whose spoken text begins with it. A line that matches no remaining turn, for
    example because of its spelling, is skipped. A turn that was corrected during the call is matched but not yielded,
    because that correction is more accurate.
    """
    rest = list(turns)
    for line in said:
        words = line.split()
        place = next((n for n, turn in enumerate(rest) if turn.spoken_text.split()[: len(words)] == words), None)
        if place is None:
            continue
        turn, rest = rest[place], rest[place + 1 :]
        if len(words) < len(turn.spoken_text.split()) and turn.heard_text is None:
            yield turn, line
