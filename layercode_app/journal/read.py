"""Read a conversation from the journal."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..exceptions import NotRecordedError
from .record import Json, Kind, TurnRecord
from .stores.base import Store
from .stores.history_steps import SUMMARY

LONGEST_TURN_SECONDS = 600.0
"""The maximum age of a running turn. If an older turn has the status `running`, most likely its end was not saved."""


async def is_running(store: Store, record: TurnRecord) -> bool:
    """Return whether a worker is running the turn of a record now. Return false for the record of a session event."""
    is_recent = time.time() - record.started_at < LONGEST_TURN_SECONDS
    return _is_unfinished_turn(record) and is_recent and await store.alive(record.owner)


async def is_stuck(store: Store, record: TurnRecord) -> bool:
    """Return whether a turn is recorded as running although its worker is dead. Return false for a session event."""
    return _is_unfinished_turn(record) and not await store.alive(record.owner)


def _is_unfinished_turn(record: TurnRecord) -> bool:
    # The record of a session event keeps the status RUNNING after its hook failed, so that a redelivery runs it again.
    return not record.finished and record.kind is not Kind.SESSION


async def turns_of(store: Store, conversation_id: str, *, bodies: bool = False) -> list[TurnRecord]:
    """Return the records of a conversation, oldest first. Raises NotRecordedError if there are none.

    Without `bodies` the records have no messages and no frames.
    """
    found = [record async for record in store.turns(conversation_id=conversation_id, bodies=bodies)]
    if not found:
        raise NotRecordedError(
            f"Conversation {conversation_id!r} is not in the journal ({store.component}). "
            "`sessions list` shows the conversations in it."
        )
    return found


async def summary_of(store: Store, conversation_id: str) -> Json:
    """Return the running summary of a conversation, or None if it has no summary.

    The summary is a dictionary with `text`, `facts` and `until`. `until` is the position of the last turn that the
    summary covers.
    """
    return (await store.conversation(conversation_id)).state.get(SUMMARY)


def first_agent(records: Sequence[TurnRecord]) -> str:
    """Return the agent that began a conversation, given its records, oldest first. It may have handed the call over."""
    return next(iter(records[0].handed_by), records[0].agent)


def sessions_in(records: Sequence[TurnRecord]) -> list[str]:
    """Return the distinct session ids of a conversation's records, in order."""
    return list(dict.fromkeys(record.session_id for record in records if record.session_id))
