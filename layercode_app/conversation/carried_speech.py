"""Speak the words of a data event's hook in a turn, because the data event itself can only be answered with JSON.

If a turn of the conversation runs in this worker, that turn speaks them after its own words. Otherwise they wait in the
journal, and the next turn of the conversation, on any worker, speaks them first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

from loguru import logger

from ..journal.record import DATA, TTS, Json, TurnRecord
from ..journal.record_json import sorted_json
from ..journal.stores.base import Store
from .lasting import lasting_step
from .live import LiveTurn

Carried: TypeAlias = dict[str, Any]
"""The output of a data event. `say`: a text; `data`: contents for the page; `hangup`: whether to end the call, and
`session`: the session to which a hang-up is limited, so that it does not end the caller's next call. `of`: the start and
id of the turn or data event that stored it."""

KEY = "layercode.carried"
"""The prefix of the keys under which waiting output is stored. After the output was spoken, its key is used again.

The output is in the conversation's metadata, because every turn reads the metadata anyway.
"""
_keeping: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


def said_by(live: LiveTurn) -> Carried:
    """Return what a hook said, the data it sent, and whether it asked to hang up; empty if it did none of these."""
    text = "".join([frame.content for frame in live.frames if frame.type == TTS])
    contents = [frame.content for frame in live.frames if frame.type == DATA]
    session = live.record.session_id if live.hang_up.asked else ""
    said: Carried = {"say": text, "data": contents, "hangup": live.hang_up.asked, "session": session}
    return {name: value for name, value in said.items() if value}


def hand_to(running: LiveTurn | None, said: Carried) -> bool:
    """Let the running turn speak the output of a data event, and return True.

    Return False if no turn runs, if the turn is ending, or if the output ends a session that is not the turn's session.
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
    """Speak the waiting output after the turn's own words, or before them if `first` is true.

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
        if said.get("hangup"):
            with lasting_step(live):  # A tool of this turn may be cancelled, but the data event has ended.
                live.hang_up.ask(by_tool=False)


def _ends_other_session(live: LiveTurn, said: Carried) -> bool:
    return bool(said.get("session", live.record.session_id) != live.record.session_id)


def taken_from(metadata: Mapping[str, Json]) -> tuple[dict[str, Json], list[Carried]]:
    """Return a conversation's metadata without the waiting output, and the waiting output, oldest first."""
    others = {name: value for name, value in metadata.items() if not _is_waiting(name)}
    waiting = [said for name, value in metadata.items() if _is_waiting(name) for said in value or ()]
    return others, sorted(waiting, key=lambda said: said.get("of", [0]))


async def keep(store: Store, record: TurnRecord, said: Sequence[Carried]) -> None:
    """Store the output of data events in the journal for the conversation's next turn. Raises StoreError.

    `record` is the turn or data event that could not speak the output. If this function is called again for the same
    output, it does nothing.
    """
    if not said:
        return
    logger.info("The output of a data event is kept for the conversation's next turn.")
    output = [{**one, "of": [record.started_at, record.turn_id]} for one in said]
    async with _keeping.setdefault(record.conversation_id, asyncio.Lock()):
        metadata = (await store.conversation(record.conversation_id)).metadata
        # Another worker may store output at the same time, so each worker writes only keys with its own id.
        keys = (f"{KEY}.{store.owner}.{number}" for number in count())
        if sorted_json(output) not in [sorted_json(value) for name, value in metadata.items() if _is_waiting(name)]:
            await store.establish(record.conversation_id, {next(key for key in keys if not metadata.get(key)): output})


async def forget(store: Store, conversation_id: str, metadata: Mapping[str, Json]) -> None:
    """Remove waiting output from the journal: the output that `metadata` contains.

    `metadata` is the conversation's metadata that was read when the turn began. Output that was stored later is kept.
    Raises StoreError.
    """
    await store.establish(
        conversation_id, {name: None for name, value in metadata.items() if _is_waiting(name) and value}
    )


def _is_waiting(name: str) -> bool:
    # Earlier releases stored all output under `KEY` itself, without a suffix.
    return name == KEY or name.startswith(f"{KEY}.")
