"""Save the record, the state and the notes on the caller while a turn runs.

Save them again when work of the turn, such as a slow tool, ends after the turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..jobs.until_saved import until_saved
from ..journal.crashed_turn import marked_as_crashed
from ..journal.forget import NOTES, enqueue_late
from ..journal.record import ToolCall, TurnRecord
from ..journal.stores.base import Job
from ..journal.task_jobs import enqueue_tasks, job_of
from ..observability import metrics
from .caller_notes import CallerNotes
from .delivery import CrashedTurnError, is_newest
from .flow import Flow
from .late_work import note_late, usage_of
from .state import LiveState

if TYPE_CHECKING:
    from .live import LiveTurn
    from .prepare_and_save import Services


@dataclass(slots=True)
class Checkpoint:
    """The record, notes, jobs and state of a turn, which are saved before the turn ends."""

    # The turn refers to its checkpoint. A reference back to the turn would be a reference cycle.
    services: Services
    record: TurnRecord
    noted: Sequence[CallerNotes]
    jobs: list[Job]
    state: LiveState[Any] | None
    flow: Flow

    async def save(self) -> bool:
        """Save the running turn and enqueue its new notes, so that its tools do not run again if the worker dies.

        Return False if another worker has taken over or ended the turn, for example because this worker was stalled.
        The caller then gets the answer from the other worker. Raises CrashedTurnError if the turn was marked as
        crashed and the conversation has no newer turn that could answer the caller.
        """
        await self._enqueue_notes()
        if await self.services.states.save(self.record, self.state, self.flow):
            return True
        stored = await self.services.store.get(*self.record.key)
        if stored is not None and marked_as_crashed(stored) and await is_newest(self.services.store, self.record):
            raise CrashedTurnError(f"Turn {stored.turn_id} was marked as crashed, although its worker runs it.")
        # If the conversation was deleted meanwhile, the journal has no record of the turn. The turn then goes on.
        return stored is None or (stored.owner == self.record.owner and not stored.finished)

    async def finish_late(self, live: LiveTurn, work: str, call: ToolCall | None) -> None:
        """Save the effects of work that ended after its turn: outcomes, usage, state changes, notes and tasks.

        `work` is the name of the work in the record. `call` is the tool call that it completes, if any. If the
        conversation was deleted while the work ran, nothing is saved. If the journal is unavailable, the save is
        retried. Raises StoreError if the journal stays unavailable for too long, or if the server stops.
        """
        try:
            self.record.outlasting.remove(work)
            # After a hand-over during the turn, the end of the turn saves only the state of the agent that took over,
            # not the state of this agent.
            if live.saving or call is not None or live.state is not self.state:
                await live.saved.wait()
                _report_late(self.services, live, call)
                what = f"The effects of {f'the tool {call.name}' if call else 'background work'}"
                await until_saved(partial(self._save_late, work, call), what)
        finally:
            self.services.states.let_go(self.record.conversation_id, self.state)

    async def _save_late(self, work: str, call: ToolCall | None) -> None:
        """Save the effects of work that ended after its turn. A retry does not save them twice."""
        if await self.services.late.update(self.record.key, partial(note_late, work, call, self.record)) is not None:
            note_jobs(self.record, self.noted, self.jobs)
            for job in self.jobs:  # Enqueue all jobs again: an earlier attempt may have enqueued only some.
                await enqueue_late(self.services.store, self.services.enqueue, job, since=self.record.started_at)
            await enqueue_tasks(self.record, self.services.enqueue)
        await self.services.states.save_late(self.record, self.state, self.flow)

    async def _enqueue_notes(self) -> None:
        for job in note_jobs(self.record, self.noted, self.jobs):
            await self.services.enqueue(job)


def _report_late(services: Services, live: LiveTurn, call: ToolCall | None) -> None:
    """Report what happened since the turn was reported: the requests of helper agents, and the end of a tool call."""
    if live.run.late_requests:
        requests, live.run.late_requests = live.run.late_requests, []
        services.used(usage_of(live.record, requests))
    if call is not None and any(one is call for one in live.run.late_tools):
        metrics.record_tool(live.record.agent, call)


def note_jobs(record: TurnRecord, noted: Sequence[CallerNotes], jobs: list[Job]) -> list[Job]:
    """Return jobs that write the notes added since the last call of this function. Also append the jobs to `jobs`."""
    taken = filter(None, [notes.take() for notes in noted])
    # The id contains the number of the attempt. Otherwise jobs of two attempts could have the same id.
    new = [job_of(record, f"notes-{record.attempt}-{n}", NOTES, given) for n, given in enumerate(taken, len(jobs))]
    jobs += new
    return new
