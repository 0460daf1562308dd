"""Speak the words of a data event's hook in a turn, because the data event itself can only be answered with JSON.

If a turn of the conversation runs in this worker, that turn speaks them after its own words. Otherwise they wait in the
journal, and the next turn of the conversation, on any worker, speaks them first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

from loguru import logger

from ..journal.record import DATA, TTS, Json
from ..journal.record_json import sorted_json
from ..journal.stores.base import Store
from .lasting import lasting_step
from .live import LiveTurn

Carried: TypeAlias = dict[str, Any]
"""The output of a data event. `say`: a text; `data`: contents for the page; `hangup`: whether to end the call, and
`session`: the session to which a hang-up is limited, so that it does not end the caller's next call."""

KEY = "layercode.carried"
"""The key of the waiting output. It is in the conversation's metadata, because every turn reads the metadata anyway."""
_keeping: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


def said_by(live: LiveTurn) -> Carried:
    """Return what a hook said, the data it sent, and whether it asked to hang up; empty if it did none of these."""
    text = "".join([frame.content for frame in live.frames if frame.type == TTS])
    contents = [frame.content for frame in live.frames if frame.type == DATA]
    session = live.record.session_id if live.hang_up.asked else ""
    said: Carried = {"say": text, "data": contents, "hangup": live.hang_up.asked, "session": session}
    return {name: value for name, value in said.items() if value}


def hand_to(running: LiveTurn | None, said: Carried) -> bool:
    """Let the running turn speak the output of a data event. Return False if no turn runs or the turn is ending.

    Also return False if the output ends another session than the turn's.
    """
    # A turn without `save` has not begun: it may be following another worker's turn.
    if running is None or running.save is None or running.ending or running.stopping is not None:
        return False
    if _ends_other_session(running, said):
        return False
    for content in said.pop("data", ()):
        running.emit(DATA, content)
    running.carried = [*running.carried, said]
    return True


def speak(live: LiveTurn, waiting: Sequence[Carried], *, first: bool = False) -> None:
    """Speak the waiting output after the turn's own words, or with `first` before them.

    Output that ends an earlier session, such as a goodbye and a hang-up, is dropped.
    """
    for said in waiting:
        if _ends_other_session(live, said):
            continue
        for content in said.get("data", ()):
            live.emit(DATA, content)
        text = said.get("say", "")
        if text and first and not text[-1].isspace():
            text += " "
        if text:
            live.spoken.begin_segment()
            live.speak(text, "say")
        with lasting_step(live):  # A tool of this turn may be cancelled, but the data event has ended.
            live.hang_up.asked = live.hang_up.asked or bool(said.get("hangup"))


def _ends_other_session(live: LiveTurn, said: Carried) -> bool:
    return bool(said.get("session", live.record.session_id) != live.record.session_id)


def taken_from(metadata: Mapping[str, Json]) -> tuple[dict[str, Json], list[Carried]]:
    """Return a conversation's metadata without the waiting output, and the waiting output."""
    return {name: value for name, value in metadata.items() if name != KEY}, list(metadata.get(KEY) or ())


async def keep(store: Store, conversation_id: str, said: Sequence[Carried], *, again: bool = False) -> None:
    """Store the output of data events in the journal for the conversation's next turn. Raises StoreError.

    `again` means that an earlier call was cancelled, but may have stored the output.
    """
    if not said:
        return
    logger.info("The output of a data event is kept for the conversation's next turn.")
    async with _keeping.setdefault(conversation_id, asyncio.Lock()):
        waiting = (await store.conversation(conversation_id)).metadata.get(KEY) or []
        if not again or sorted_json(waiting[-len(said) :]) != sorted_json(list(said)):
            await store.establish(conversation_id, {KEY: [*waiting, *said]})


async def forget(store: Store, conversation_id: str, spoken: Sequence[Carried]) -> None:
    """Remove the output in `spoken` from the journal, and keep newer output. Raises StoreError."""
    async with _keeping.setdefault(conversation_id, asyncio.Lock()):
        waiting = (await store.conversation(conversation_id)).metadata.get(KEY) or []
        await store.establish(conversation_id, {KEY: waiting[len(spoken) :] or None})
