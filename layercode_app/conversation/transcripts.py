"""Correct the journal from the platform's transcript of a session, which shows how much of each reply was played."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from ..jobs.late_saves import LateSaves
from ..journal.record import TurnRecord
from ..journal.stores.base import SPEAKING_KINDS, Store
from ..webhook import InterruptionContext, SessionEnd
from .corrections import correct_turn
from .delivery import wait_until

LATEST_SECONDS = 300.0
"""Maximum seconds that a turn may run after the end of its session and still be corrected."""


async def reconcile(
    store: Store, late: LateSaves, event: SessionEnd, *, seconds: float, interrupted: Callable[[TurnRecord], None]
) -> bool:
    """Wait up to `seconds` until the session's turns have ended, then correct those that were not played to their end.

    A turn may still be running, because the caller may hang up while the agent speaks. Return whether all turns have
    ended. A turn that is still running is not corrected. `interrupted` is called with each turn that was recorded as
    complete, and is now recorded as interrupted. Raises StoreError.
    """
    turns = await _spoken_in(store, late, event)
    if not all(turn.finished for turn in turns):
        await _wait_for(turns, store, late, seconds)
        turns = await _spoken_in(store, late, event)
    ended = [turn for turn in turns if turn.finished]
    said = [entry.text for entry in event.transcript if entry.role in ("assistant", "agent") and entry.text.strip()]
    for turn, text in shortened(ended, said):
        context = InterruptionContext(previous_turn_interrupted=True, text_heard=text)
        await correct_turn(late, turn.key, context, interrupted)
    return len(ended) == len(turns)


async def _wait_for(turns: Sequence[TurnRecord], store: Store, late: LateSaves, seconds: float) -> None:
    def ended(current: TurnRecord) -> bool:
        return current.finished or late.pending(current.key) is not None

    # If `seconds` is small, check more often, because the answer to the event waits for this function.
    pause = min(seconds / 200, 0.25)
    running = [turn for turn in turns if not turn.finished]
    await asyncio.gather(*[wait_until(store, turn, ended, seconds, pause=pause) for turn in running])


async def _spoken_in(store: Store, late: LateSaves, event: SessionEnd) -> list[TurnRecord]:
    """Return the session's turns of the kinds greeting and message.

    For a turn whose save is pending, the list contains the unsaved record.
    """
    turns = store.turns(conversation_id=event.conversation_id, bodies=False)
    return [
        late.pending(turn.key) or turn
        async for turn in turns
        if turn.session_id == event.session_id and turn.kind in SPEAKING_KINDS
    ]


def shortened(turns: Sequence[TurnRecord], said: Sequence[str]) -> Iterable[tuple[TurnRecord, str]]:
    """Yield each turn that was not played to its end, with the line of the transcript that says what was played.

    Each line is matched to the next turn whose spoken text begins with the line. A line that matches no remaining turn,
    for example because of its spelling, is skipped. A turn whose text was already corrected during the call is not
    yielded, because that correction is more accurate.
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
