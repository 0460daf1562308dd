"""Prepare the turn for an event that an agent answers, and save the turn's results.

This module is used for turns that speak (`turn_lifecycle.py`), and for data events from the page (`data_events.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from loguru import logger

from ..exceptions import StoreError
from ..jobs.late_saves import LateSaves
from ..journal.outbound import AGENT
from ..journal.record import Frame, Json, TurnRecord
from ..journal.stores.base import Begun, Job, LazyHistory, Store
from ..journal.task_jobs import enqueue_tasks, task_jobs
from ..observability import spans
from ..observability.privacy import caller_secrets
from ..settings.limits import Limits
from ..webhook import Event
from . import carried_speech
from .agent_protocol import AgentProtocol
from .caller_notes import CallerNotes, read_notes
from .carried_speech import Carried
from .checkpoint import Checkpoint, note_jobs
from .flow import CALLERS, Flow, begin_part, end_flow, scope_of
from .live import LiveTurn
from .stages import write_down_helpers
from .state import LiveState
from .states import Changes, LiveStates
from .summary import summary_in, tokens_of_turns
from .turn import Background, Turn

Refusal: TypeAlias = Callable[[TurnRecord, Sequence[TurnRecord], Mapping[str, Json]], Awaitable[str | None]]
"""A function of a turn, the newest turns before it and the conversation's state. It returns a text to speak instead of
the answer, or None to answer."""


@dataclass
class Services:
    """The services that all turns of a worker share.

    `refusal` returns the text to speak instead of the answer when a budget is used up. `finished` is called with the
    record of each turn that has ended, and `used` with the usage that its background work adds later. `interrupted` is
    called with the record of each turn that was complete, but turns out to be interrupted. When a new turn finds an
    older turn that still runs on a dead worker, `crashed` is called with the older turn's record. `saves` are the
    running saves of stopped turns; `drain` waits for them. `late` retries failed saves until the journal is available.
    `failed` is called with the error that ended a turn, before the turn is saved; `dev` uses it to keep the error's
    description in the record. `agents` returns a dictionary of the agents to which a call can be handed over; its keys
    are the agents' names.
    """

    store: Store
    limits: Limits
    states: LiveStates
    background: Background | None
    finished: Callable[[TurnRecord], None]
    refusal: Refusal | None
    enqueue: Callable[[Job], Awaitable[bool]]
    late: LateSaves
    saves: set[asyncio.Task[None]] = field(default_factory=set)
    failed: Callable[[TurnRecord, BaseException], None] = lambda record, error: None
    agents: Callable[[], Mapping[str, AgentProtocol]] = dict
    used: Callable[[TurnRecord], None] = lambda record: None
    interrupted: Callable[[TurnRecord], None] = lambda record: None
    crashed: Callable[[TurnRecord], None] = lambda record: None

    def report(self, live: LiveTurn) -> None:
        """Report a turn that has ended.

        Requests and tool calls that end later are reported when the background work to which they belong ends.
        """
        live.run.late_requests = []
        live.run.late_tools = [call for call in live.record.tools if call.status == "running"]
        self.finished(live.record)

    def tokens(self, agent: AgentProtocol) -> int:
        """Return the token budget of the history; 0 for an agent without history, which gets only the newest turn."""
        if not agent.remembers:
            return 0
        budget = self.limits.history_tokens
        return tokens_of_turns(budget) if agent.sums_up else budget


@dataclass(slots=True)
class Work:
    """An event that an agent answers, with everything needed to run and save its turn.

    The turn's record is already in the journal.
    """

    services: Services
    agent: AgentProtocol
    event: Event
    live: LiveTurn
    begun: Begun
    state: LiveState[Any] | None = None
    carried: list[Carried] = field(default_factory=list)
    """The output of earlier data events that no turn has spoken yet."""
    first: str = ""
    """The name of the agent that the platform calls; "" means that it is `agent`."""
    jobs: list[Job] = field(default_factory=list)
    """Jobs that write the new notes on the caller."""
    noted: list[CallerNotes] = field(default_factory=list)
    """The notes on the caller that the agents of this turn received."""
    released: bool = False
    """Whether `state` was released, or is being released."""

    def prepare(self) -> Turn[Any, Any]:
        """Build the turn for the agent's hooks, with state, metadata and history."""
        try:
            return self._prepared()
        except Exception:
            self._hand_back()
            raise

    def _hand_back(self) -> None:
        """If this agent took the call over but cannot be prepared, hand the call back to an earlier agent.

        Otherwise every later turn would fail too.
        """
        live, name = self.live, self.agent.name
        if name == (self.first or name):
            return
        flow = live.flow = live.flow or Flow(self.begun.state, self.first, self.services.agents)
        earlier = [flow.taken_from, *(turn.agent for turn in reversed(self.begun.history))]
        before = next((agent for agent in earlier if agent != name and flow.serves(agent)), self.first)
        logger.error("The call is handed back to {}, because {} cannot answer it.", before, name)
        flow.keep(AGENT, before)
        live.record.handed_to = before

    def _prepared(self) -> Turn[Any, Any]:
        live, record, limits = self.live, self.live.record, self.services.limits
        known, self.carried = carried_speech.taken_from(self.begun.metadata)
        record.metadata = known | (self.event.metadata or {}) | (self.event.custom_metadata or {})
        caller_secrets.remember(record.metadata)
        scope = scope_of(self.agent.name, self.first or self.agent.name)
        self.state = live.state = state = self.services.states.enter(
            self.agent.state_type, record.conversation_id, self.begun.state, scope, received=live.received
        )
        flow = self._enter_flow()
        metadata: Any = record.metadata
        if self.agent.metadata_type is not None:
            metadata = self.agent.metadata_type.model_validate(metadata)
        live.run.tool_timeout = self.agent.tool_timeout or limits.tool_timeout
        live.run.first_token_timeout, live.run.piece_timeout = limits.first_token_timeout, limits.piece_timeout
        live.run.hedge_after = limits.hedge_after
        live.run.posts_handoffs = bool(limits.handoff_url)
        checkpoint = Checkpoint(self.services, record, self.noted, self.jobs, state, flow)
        live.save, live.late = checkpoint.save, checkpoint.finish_late
        return Turn(
            self.event,
            live,
            state=state.model if state else None,
            metadata=metadata,
            past=self.begun.history,
            remembers=self.agent.remembers,
            summary=summary_in(self.begun.state) if self.agent.sums_up else None,
            tokens=limits.history_tokens,
            background=self.services.background,
        )

    async def recall(self, turn: Turn[Any, Any]) -> None:
        """Read the notes on the caller, if the agent keeps any. If the journal is unavailable, go on without notes."""
        self.live.notes = None  # After a hand-over, these are still the notes of the previous agent.
        key, live = self.agent.caller_of(turn), self.live
        if not key or live.flow is None:
            return
        live.flow.keep_for(CALLERS, live.record.session_id, f"{self.agent.name} {key}")
        try:
            live.notes = await read_notes(self.services.store, key)
        except StoreError as error:
            live.notes = CallerNotes(key)  # Notes that this turn adds are written later.
            logger.warning("The notes on the caller could not be read: {}", error)
        self.noted.append(live.notes)

    def _enter_flow(self) -> Flow:
        """Enter the agent's current stage, or its first stage if the current one no longer exists."""
        live, agent = self.live, self.agent
        flow = live.flow
        if flow is None:
            flow = live.flow = Flow(self.begun.state, self.first or agent.name, self.services.agents)
        flow.stages = agent.stage_names
        live.record.at_stage = flow.stage(agent.name)
        if self._begins_a_later_session():
            flow.resume(self.begun.history[-1].session_id, live.record.session_id)
        begin_part(live)
        return flow

    def _begins_a_later_session(self) -> bool:
        """Return whether the turn before this one belongs to another session."""
        past, session = self.begun.history, self.live.record.session_id
        if not past or (isinstance(past, LazyHistory) and not past.newest_may_differ(session)):
            return False
        return past[-1].session_id != session

    async def save(self, *, total: float, end: Frame | None = None, left: Sequence[Carried] = ()) -> None:
        """Save the record and the state, and enqueue the agent's tasks.

        `total` is the turn's duration in milliseconds. `left` is output that was not spoken; it is stored for the next
        turn. If the journal is unavailable, log the error and retry later. If a save is cancelled, it is safe to call
        this method again.
        """
        live, record = self.live, self.live.record
        live.saving = True
        write_down_helpers(live)
        unspoken = list(left)
        keep_unspoken = partial(carried_speech.keep, self.services.store, record, unspoken)
        end_flow(live)
        if end is not None:
            live.collect(end=end)
        record.ended_at = time.time()
        record.timings["total"] = total
        note_jobs(record, self.noted, self.jobs)
        try:
            try:
                for job in self.jobs:
                    await self.services.enqueue(job)
                await enqueue_tasks(record, self.services.enqueue)
                await keep_unspoken()
                unspoken.clear()
            finally:
                with spans.span("save"):
                    await self._leave()
        except StoreError as error:
            logger.error("The turn could not be saved; saving is retried: {}", error)
            changes = Changes(self.state, live.flow, self.state.fields() if self.state else {})
            jobs = [*self.jobs, *task_jobs(record)]
            self.services.late.keep(
                record, changes.values, jobs, keep_unspoken, based_on=changes.based_on, fitted=changes.fitted
            )
            record.error_category = record.error_category or "store"
        except Exception:
            live.saved.set()  # The turn is not saved again, and work that outlasts it waits for this.
            raise
        live.saved.set()

    async def _leave(self) -> None:
        """Save the turn with its state, and release the state. A repeated save does not release the state again."""
        states, record, flow = self.services.states, self.live.record, self.live.flow
        if self.released:
            await states.save(record, self.state, flow)
            return
        self.released = True
        await states.leave(record, self.state, flow)
