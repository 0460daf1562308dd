"""Find, in the server's journal, the failed turns of an agent that `bench` serves.

The callers of `bench` cannot find the failed turns, because they cannot tell an apology from an answer.
"""

from __future__ import annotations

from ...journal.record import Status, TurnRecord
from ...journal.stores import create_store
from .measured import Measured

UNRECORDED = "not recorded"
"""The error for a turn that is not in the journal, because the server was too busy to accept it."""


async def count_failures(measured: Measured, journal: str, *, since: float) -> None:
    """Count the samples whose turns failed, or are not in the journal, as errors.

    `journal` is the URL of the server's store. `since` is the time at which the round began, in epoch seconds. Raises
    StoreError.
    """
    store = create_store(journal)
    await store.open()
    try:
        errors = {record.turn_id: _error(record) async for record in store.turns(since=since, bodies=False)}
    finally:
        await store.close()
    measured.discard(lambda sample: errors.get(sample.turn_id, UNRECORDED))


def _error(record: TurnRecord) -> str:
    failed = record.status is Status.FAILED
    return f"failed with {record.error or record.error_category}" if failed else ""
