"""Handle duplicate deliveries, and turns that run on other workers: replay, join or displace a turn.

The platform sometimes delivers an event more than once, and a newer message can reach this worker while another worker
runs an older turn. `follower.py` sends a listener of this worker the frames of a turn that runs on another worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from loguru import logger

from ..exceptions import LayerCodeError, StoreError
from ..journal.crashed_turn import note_tools
from ..journal.record import END, TTS, Frame, Status, TurnRecord
from ..journal.stores.base import Signal, Store
from ..journal.stuck_turns import end_stuck
from ..journal.task_jobs import add_handoffs
from .listener import Listener
from .live import LiveTurn

T = TypeVar("T")

FOLLOW_SECONDS = 0.05
"""Seconds between two writes of a followed turn to the journal, and between two reads of it by a following worker."""
PATIENCE_SECONDS = 3.0
"""Seconds that a follower of a turn waits for an unavailable journal before the caller hears the apology."""
DISPLACE_SECONDS = 2.0
"""Seconds that a newer turn waits for another worker to stop the older turn.

`session.end` waits as long for the running turns of its session.
"""
LOOKS_PER_SIGN_OF_LIFE = 20
"""A worker that waits for another worker's turn checks again and again whether the turn has ended.

After this many checks, it also checks whether the other worker is alive.
"""


class CrashedTurnError(LayerCodeError):
    """A worker died during a turn that had already started tools, so the turn is not run again.

    The error is also raised in a worker that is alive and still runs a turn, if another worker took this worker for
    dead and marked the turn as crashed.
    """


async def repeat(known: TurnRecord, listener: Listener, *, apology: str = "") -> None:
    """Replay the recorded frames of a turn that has ended. Speak the apology after them, if one is given."""
    frames = known.frames if known.frames and known.frames[-1].type == END else [*known.frames, Frame(END)]
    if apology:
        frames = [*frames[:-1], Frame(TTS, apology), frames[-1]]
    await listener.catch_up(frames)


async def is_newest(store: Store, turn: TurnRecord) -> bool:
    """Return whether this is the conversation's newest turn. A newer turn would answer the caller in its place."""
    newest = (await store.history(turn.conversation_id, tokens=0))[-1:]
    return [known.turn_id for known in newest] == [turn.turn_id]


async def join(live: LiveTurn, listener: Listener) -> None:
    """Send all frames of a turn that runs in this worker to another listener."""
    live.add(listener)
    listener.watch()
    await listener.catch_up(live.frames)
    ended, left = asyncio.ensure_future(live.ended.wait()), asyncio.ensure_future(listener.left.wait())
    await asyncio.wait({ended, left}, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    left.cancel()
    await listener.catch_up(live.frames)


async def patiently(read: Callable[[], Awaitable[T]]) -> T:
    """Retry a read of the journal. Raises StoreError if it is unavailable for longer than `PATIENCE_SECONDS`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    while True:
        try:
            return await read()
        except StoreError:
            if loop.time() >= deadline:
                raise
        await asyncio.sleep(FOLLOW_SECONDS)


async def displace(
    store: Store,
    turn: TurnRecord,
    *,
    posts_handoffs: bool = False,
    crashed: Callable[[TurnRecord], None] = lambda record: None,
) -> bool:
    """Ask another worker to stop an older turn. If the worker does not stop the turn, mark the turn as ended.

    Return whether the worker itself ended the turn. If it did not, it may still overwrite the mark with its own record.
    `posts_handoffs` tells whether hand-offs to a person are posted to LAYERCODE_HANDOFF_URL. `crashed` is called with
    the turn's record if the worker is dead, unless another worker has ended the turn first; see `end_stuck`. If the
    worker still counts as alive, the hand-offs that only an earlier release recorded are left to it.
    """
    if await store.held_elsewhere(turn):
        await store.signal(turn.owner, Signal("stop", *turn.key))
        if await wait_until_ended(store, turn):
            return True
    if await store.held_elsewhere(turn):
        logger.warning("The worker that runs turn {} did not end the turn within {} s", turn.turn_id, DISPLACE_SECONDS)
        ended = await end_stuck(store, turn, mark=_supersede)
    else:
        ended = await end_stuck(store, turn, posts_handoffs=posts_handoffs, crashed=crashed)
    if not ended:
        current = await store.get(*turn.key)
        if current is not None and not current.finished and current.owner != turn.owner:
            # Another worker has claimed the turn, because the turn was delivered again.
            return await displace(store, current, posts_handoffs=posts_handoffs, crashed=crashed)
    return False


async def wait_until_ended(store: Store, turn: TurnRecord) -> bool:
    """Wait until a turn is ended by its worker; return False after `DISPLACE_SECONDS`, or if that worker died."""
    return await wait_until(store, turn, lambda current: current.finished, DISPLACE_SECONDS)


async def wait_until(
    store: Store, turn: TurnRecord, condition: Callable[[TurnRecord], bool], seconds: float, *, pause: float = 0.01
) -> bool:
    """Wait until the stored record of a turn meets a condition, or is deleted. `pause` is the time between two checks.

    Return False after `seconds`, or if the turn's worker died.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    looks = 0
    while loop.time() < deadline:
        current = await store.get(*turn.key)
        if current is None or condition(current):
            return True
        looks += 1
        # Whether the worker is alive is checked less often, because SQLite needs a thread for this check.
        if looks % LOOKS_PER_SIGN_OF_LIFE == 0 and not await store.alive(turn.owner):
            return False
        await asyncio.sleep(pause)
    return False


def _supersede(record: TurnRecord) -> None:
    """Mark a turn of an unresponsive worker as superseded. If the worker recovers, it overwrites the mark."""
    record.status = Status.SUPERSEDED
    note_tools(record, cut_by="a newer turn")


def begin_again(record: TurnRecord, *, posts_handoffs: bool = False) -> None:
    """Prepare the record for a new attempt of the turn. Append what the dead worker has spoken to `record.before`."""
    spoken = record.before + record.spoken_text
    record.pending, record.resumes, record.error = None, "", None
    record.outlasting = []
    # If tools have run, keep the tasks, outcomes, counts and notes, because these tools do not run again.
    if not record.tools:
        record.tasks = []
        # If an agent has handed this turn over, keep its outcomes, counts and notes: that agent does not run again.
        if not record.handed_by:
            record.outcomes, record.counts, record.notes = [], {}, []
    elif posts_handoffs:
        add_handoffs(record)
    record.before = spoken if not spoken or spoken[-1].isspace() else spoken + " "


def obey(signal: Signal, running: Mapping[str, LiveTurn], store: Store) -> None:
    """Handle another worker's signal about a turn that runs here: stop it, or add or remove a follower."""
    live = running.get(signal.conversation_id)
    if live is None or live.record.turn_id != signal.turn_id:
        return
    if signal.kind == "stop":
        live.stop(signal.status)
    elif signal.kind == "follow":
        live.followed += 1
        if live.publisher is None:
            live.publisher = asyncio.get_running_loop().create_task(_publish(live, store))
    elif signal.kind == "unfollow":
        live.unfollow()


async def _publish(live: LiveTurn, store: Store) -> None:
    """Write the frames of a followed turn to the journal until it ends, so that other workers can read them."""
    written, away = 0, False
    while not live.ended.past and not live.ending:
        if (spoken := len(live.frames)) > written:
            live.collect()
            try:
                await store.save(live.record)
                written, away = spoken, False
            except StoreError as error:
                if not away:
                    logger.warning(
                        "Callers who hear turn {} through other workers wait for the journal: {}",
                        live.record.turn_id,
                        error,
                    )
                away = True
        await asyncio.sleep(FOLLOW_SECONDS)
