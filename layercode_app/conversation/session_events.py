"""Handle the events that are not turns: data from the page, and session events such as start, update and end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from uuid import uuid4
from weakref import WeakValueDictionary

from loguru import logger

from ..exceptions import StoreError
from ..jobs.queue import Jobs
from ..journal import steady_clock
from ..journal.forget import NOTES_OF_CALL
from ..journal.record import Json, Kind, Status, TurnRecord
from ..journal.stores.base import Job
from ..journal.task_jobs import TASK
from ..observability import context, spans
from ..observability.errors import ends_task
from ..observability.privacy import caller_secrets
from ..webhook import Data, Event, SessionEnd, SessionStart, SessionUpdate, UnknownEvent, Welcome
from . import current_agent, data_events, delivery
from .agent_protocol import AgentProtocol, EventAgentProtocol
from .data_events import within
from .flow import caller_in
from .live import LiveTurn
from .prepare_and_save import Services, Work
from .transcripts import LATEST_SECONDS, reconcile

SESSION_END = "session_end"
CORRECT = "layercode.correct"
"""The name of jobs that correct turns which ran on after the end of their session."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Limits of the seconds between two attempts of a `CORRECT` job.

The seconds grow with the time since the end of the session.
"""


class SessionHandler:
    """Handles the events that are not turns. Each event is answered with JSON, even while a turn is running."""

    def __init__(self, services: Services, jobs: Jobs, running: Mapping[str, LiveTurn]) -> None:
        self._services = services
        self._store = services.store
        self._jobs = jobs
        self._running = running
        self._unknown: set[str] = set()
        self._noting: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def handle(self, agent: EventAgentProtocol, event: Event, *, received: float) -> Json:
        """Handle an event and return the JSON that acknowledges or answers it.

        Raises StoreError, HookTimeoutError, or whatever a hook raises.
        """
        caller_secrets.remember(event.metadata)
        caller_secrets.remember(event.custom_metadata)
        if self._services.late.waiting:
            await self._services.late.hurry(event.conversation_id)
        if isinstance(event, Data):
            await self._notify(agent, event)
            return await self._data(agent, event, received)
        if isinstance(event, UnknownEvent):
            self._say_once(event.type)
        record = _record(agent, event)
        context.enter(record)
        spans.stamp(record)
        if not event.conversation_id:
            await self._take_note(agent, event)
            return {"ok": True}
        # A concurrent duplicate waits for the first delivery, and handles the event itself if that one fails.
        async with self._noting.setdefault(record.key, asyncio.Lock()):
            await self._once(agent, event, record)
        return {"ok": True}

    async def _once(self, agent: EventAgentProtocol, event: Event, record: TurnRecord) -> None:
        """Process an event unless an earlier delivery of it has been processed completely."""
        begun = await self._store.begin(record, history_tokens=0)
        if begun.outcome == "new" or (begun.outcome == "running" and await self._taken_over(begun.record)):
            await self._try(agent, event, begun.record)

    async def _try(self, agent: EventAgentProtocol, event: Event, record: TurnRecord) -> None:
        """Process an event, and save whether this succeeded. If it failed, any worker may process the event again."""
        if record.error is not None:
            # Clear the error of the last attempt, so that other workers wait for this one before they claim the event.
            record.error = None
            await self._store.save(record)
        try:
            await self._take_note(agent, event)
        except BaseException as error:
            if ends_task(error):
                raise
            record.error = type(error).__name__
            with suppress(StoreError):
                await self._store.save(record)
            raise
        record.status, record.error, record.ended_at = Status.COMPLETE, None, time.time()
        await self._store.save(record)

    async def _taken_over(self, known: TurnRecord) -> bool:
        """Claim an event whose earlier delivery failed or whose worker died; return whether that succeeded."""
        # The first delivery may take this long: it may wait for a running turn, and then for the hooks of the event.
        patience = delivery.DISPLACE_SECONDS + self._services.limits.hook_timeout
        if await self._store.held_elsewhere(known):
            await delivery.wait_until(self._store, known, _tried, patience)
        # An event that was completed meanwhile cannot be claimed.
        return await self._store.claim(known)

    async def _take_note(self, agent: EventAgentProtocol, event: Event) -> None:
        if isinstance(event, SessionStart | Welcome) and (event.metadata or event.custom_metadata):
            await self._store.establish(event.conversation_id, (event.metadata or {}) | (event.custom_metadata or {}))
        if isinstance(event, SessionEnd):
            payload = event.model_dump(mode="json", exclude_none=True)
            await self._reconcile(agent, event, payload)
            job_id = f"{SESSION_END}-{agent.name}-{event.conversation_id}-{event.session_id}"
            await self._jobs.enqueue(Job(job_id, SESSION_END, agent.name, payload, event.conversation_id))
            await self._note_caller(agent, event)
        await self._notify(agent, event)

    async def _reconcile(self, agent: EventAgentProtocol, event: SessionEnd, payload: Json) -> None:
        """Correct the session's turns from its transcript. If turns run on for long, a job corrects them later."""
        if await self._corrected(event, seconds=delivery.DISPLACE_SECONDS):
            return
        job_id = f"{CORRECT}-{event.conversation_id}-{event.session_id}"
        later = {"event": payload, "ended_at": time.time()}
        await self._jobs.enqueue(Job(job_id, CORRECT, agent.name, later, event.conversation_id))

    async def _corrected(self, event: SessionEnd, *, seconds: float) -> bool:
        services = self._services
        return await reconcile(services.store, services.late, event, seconds=seconds, interrupted=services.interrupted)

    async def correct(self, job: Job) -> float | None:
        """Correct the turns that ended only after `session.end`. Return when to try again (epoch seconds), or None if done.

        This is a job, because the turns may end after this worker has stopped, and may run on another worker.
        """
        event = SessionEnd.model_validate(job.payload["event"])
        done = await self._corrected(event, seconds=0)
        waited = time.time() - float(job.payload["ended_at"])
        if done or waited > LATEST_SECONDS:
            return None
        return steady_clock.now() + min(max(waited, SHORTEST_PAUSE), LONGEST_PAUSE)

    async def _note_caller(self, agent: EventAgentProtocol, event: SessionEnd) -> None:
        """Enqueue a job that writes the notes on the caller, if an agent recognised the caller in this session.

        This job is separate from the job that runs the hooks, so that a retry does not run the hooks again.
        """
        state = (await self._store.conversation(event.conversation_id)).state
        # After a hand-over, the agent that recognised the caller may not be the agent that the platform calls.
        noting, key = caller_in(state, event.session_id)
        if key:
            payload = {"task": NOTES_OF_CALL, "arguments": {"key": key, "session_id": event.session_id}}
            job_id = f"{TASK}-notes-{agent.name}-{event.conversation_id}-{event.session_id}"
            await self._jobs.enqueue(Job(job_id, TASK, noting, payload, event.conversation_id))

    async def _notify(self, agent: EventAgentProtocol, event: Event) -> None:
        await within(self._services.limits.hook_timeout, agent.notify(event), event.type[:64])

    async def _data(self, agent: EventAgentProtocol, event: Data, received: float) -> Json:
        record = _record(agent, event)
        context.enter(record)
        spans.stamp(record)
        live = LiveTurn(record, received)
        begun = await self._store.begin(record, history_tokens=self._services.tokens(agent))
        called, agent = agent, await current_agent.current(self._services, agent, record, begun)
        work = Work(self._services, agent, event, live, begun, first=called.name)
        return await data_events.answer(work, agent, event, lambda: self._running.get(event.conversation_id))

    def _say_once(self, kind: str) -> None:
        if kind not in self._unknown and len(self._unknown) < 1000:
            self._unknown.add(kind)
            logger.info("Events of type {!r} are only acknowledged. To handle them, use @agent.on_event.", kind[:80])


def _tried(record: TurnRecord) -> bool:
    return record.finished or record.error is not None


def _record(agent: AgentProtocol, event: Event) -> TurnRecord:
    return TurnRecord(
        conversation_id=event.conversation_id,
        turn_id=_key(event),
        session_id=event.session_id,
        kind=Kind.DATA if isinstance(event, Data) else Kind.SESSION,
        agent=agent.name,
        fingerprint=agent.fingerprint,
        event=event.model_dump(mode="json", exclude_none=True),
        started_at=time.time(),
    )


def _key(event: Event) -> str:
    """Return the key that duplicate deliveries of an event share.

    Data events and unknown events may repeat on purpose, so each delivery gets a new key. A `session.update` happens
    once per recording status, and each other event once per session.
    """
    if isinstance(event, Data | UnknownEvent):
        return f"{event.type[:64]}-{uuid4().hex}"
    status = event.recording_status if isinstance(event, SessionUpdate) else ""
    return f"{event.type}-{event.session_id}-{status or ''}"
