"""Save a turn while it runs, and what a tool does after its turn: the record, the state and the notes of the caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..jobs import tasks
from ..journal.forget import NOTES
from ..journal.record import ToolCall, TurnRecord
from ..journal.stores.base import Job
from . import delivery
from .caller_notes import CallerNotes
from .flow import Flow
from .state import LiveState

if TYPE_CHECKING:
    from .prepare_and_save import Services


@dataclass(slots=True)
class Checkpoint:
    """The parts of a turn that are saved before it ends.

    A reference to the whole turn, which refers to its checkpoint, would make each turn a cycle.
    """

    services: Services
    record: TurnRecord
    noted: Sequence[CallerNotes]
    jobs: list[Job]
    state: LiveState[Any] | None
    flow: Flow

    async def save(self) -> None:
        """Save the running turn, and enqueue its notes of the caller: if the worker dies, its tools do not run again."""
        await self._enqueue_notes()
        await self.services.states.save(self.record, self.state, self.flow)

    async def finish_late(self, call: ToolCall) -> None:
        """Save the result of a tool that ended after its turn, its changes to the state and its notes of the caller."""
        try:
            await delivery.finish_late(self.services.store, self.record, call)
            await self._enqueue_notes()
        finally:
            await self.services.states.release(self.record.conversation_id, self.state, self.flow)

    async def _enqueue_notes(self) -> None:
        for job in note_jobs(self.record, self.noted, self.jobs):
            await self.services.enqueue(job)


def note_jobs(record: TurnRecord, noted: Sequence[CallerNotes], jobs: list[Job]) -> list[Job]:
    """Turn what was noted of the caller since the last time into jobs; append these to the turn's jobs, and return them."""
    taken = filter(None, [notes.take() for notes in noted])
    # Ids of their own: an attempt that is repeated must not take one for a task of the attempt before.
    new = [
        tasks.job_of(record, f"notes-{record.attempt}-{n}", NOTES, given) for n, given in enumerate(taken, len(jobs))
    ]
    jobs += new
    return new
