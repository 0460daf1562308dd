"""Records for the store tests."""

from __future__ import annotations

import time
from itertools import count
from typing import Any

from layercode_app.journal.record import Frame, Kind, Speech, Status, TurnRecord
from layercode_app.journal.stores.base import Begun, Store

_ids = count(1)
PLENTY = 1_000_000


def turn(conversation_id: str = "c", turn_id: str | None = None, **more: Any) -> TurnRecord:
    given: dict[str, Any] = {
        "kind": Kind.MESSAGE,
        "agent": "a",
        "user_text": "hello",
        "started_at": time.time(),
        **more,
    }
    return TurnRecord(conversation_id, turn_id or f"t{next(_ids)}", **given)


def ended(record: TurnRecord, text: str = "hi", status: Status = Status.COMPLETE) -> TurnRecord:
    record.speech = [Speech("model", 0, text)]
    record.frames = [Frame("response.tts", text, 1.5), Frame("response.end", None, 2.5)]
    record.status, record.ended_at = status, time.time()
    return record


async def begin(store: Store, record: TurnRecord, tokens: int = PLENTY) -> Begun:
    return await store.begin(record, history_tokens=tokens)


async def add(store: Store, record: TurnRecord) -> TurnRecord:
    """Store a whole turn: begin it in the store, end it, and save it. Return its record."""
    assert (await begin(store, record)).outcome == "new"
    await store.save(ended(record))
    return record
