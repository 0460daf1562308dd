"""Let a listener receive a turn that runs in another worker.

A listener is the connection of a client to this worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from ..exceptions import StoreError
from ..journal.crashed_turn import given_up, marked_as_crashed
from ..journal.record import END, TTS, Frame, TurnRecord
from ..journal.stores.base import Signal, Store
from . import delivery
from .listener import Listener
from .sentences import ends_sentence


class Follower:
    """Sends the frames of another worker's turn to a listener, by polling the journal for new frames.

    `known` is the turn's record, as it was when this worker began to follow the turn.
    """

    def __init__(self, store: Store, known: TurnRecord, listener: Listener) -> None:
        self._store = store
        self._known = known
        self._listener = listener
        self._goodbye: str | None = None
        self._at_once = False

    def say_goodbye(self, text: str, *, at_once: bool = False) -> None:
        """Send a goodbye after the current sentence, then stop following. Used when the server shuts down.

        With `at_once`, do not wait for the end of the sentence.
        """
        self._goodbye, self._at_once = text, at_once

    async def follow(self) -> bool:
        """Send frames until the turn has ended, the client has left, or the goodbye is sent.

        Return False if the turn's worker died or gave the turn up. There are two cases. If the turn is not marked as
        crashed, it may run again: the listener then starts over at the first frame of the new attempt. If it is marked
        as crashed, it does not run again: the listener has its frames, and only an apology may be missing.

        Raises StoreError if the journal is unavailable.
        """
        store, known, listener = self._store, self._known, self._listener
        listener.watch()
        await store.signal(known.owner, Signal("follow", *known.key))
        attempt = known.attempt
        try:
            while not listener.gone:
                current = await delivery.patiently(lambda: store.get(*known.key))
                if current is not None and current.attempt != attempt:
                    attempt = current.attempt
                    listener.begin_again()
                if current is not None and marked_as_crashed(current):
                    return False
                if current is None or current.finished:
                    await delivery.repeat(current or known, listener)
                    return True
                await listener.catch_up(current.frames_so_far)
                if await self._said_goodbye(current.frames_so_far):
                    return True
                if not await self._is_run_by(known.owner, current):
                    listener.begin_again()
                    return False
                await asyncio.sleep(delivery.FOLLOW_SECONDS)
        finally:
            # If the journal is unavailable, the signal is lost and the turn runs to its end without a listener.
            with suppress(StoreError):
                await store.signal(known.owner, Signal("unfollow", *known.key))
        return True

    async def _said_goodbye(self, frames: Sequence[Frame]) -> bool:
        """Send the goodbye and the end of the stream if the server shuts down; return whether they were sent."""
        if self._goodbye is None:
            return False
        spoken = "".join(str(frame.content) for frame in frames if frame.type == TTS)
        if not self._at_once and not ends_sentence(spoken):
            return False
        goodbye = [Frame(TTS, self._goodbye)] if self._goodbye else []
        await self._listener.catch_up([*frames, *goodbye, Frame(END)])
        return True

    async def _is_run_by(self, owner: str, current: TurnRecord) -> bool:
        """Return whether the worker `owner` is alive and still runs the turn. `current` is the turn's stored record."""
        if current.owner != owner or given_up(current):
            return False
        return await delivery.patiently(lambda: self._store.alive(owner))
