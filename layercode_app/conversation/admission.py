"""Admit a turn: run it, join or follow it, or replay it. Only one turn of a conversation runs at a time.

The steps of a new turn: begin it in the journal, end older turns, let the agent speak (`turn_lifecycle.py`), then save
and end the turn. `server/` passes the store, the agent and the listener; this module knows neither HTTP nor models.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

from ..exceptions import StoreError
from ..jobs.late_saves import LateSaves
from ..journal.crashed_turn import marked_as_crashed
from ..journal.record import Kind, Status, TurnRecord
from ..journal.stores.base import Begun, Job, Signal, Store
from ..observability import context, spans
from ..settings.limits import Limits
from ..webhook import Message, TurnEvent
from . import current_agent, delivery, earlier_turns, unrecorded
from .agent_protocol import AgentProtocol
from .corrections import Corrections
from .draining import Draining
from .follower import Follower
from .listener import Listener
from .live import LiveTurn
from .orphans import Orphans
from .prepare_and_save import Refusal, Services
from .states import LiveStates
from .turn import Background
from .turn_lifecycle import Run, apology


class TurnHandler(Draining):
    """Answers the turns that reach this worker.

    `finished` is called for each ended turn, for logs, spans and metrics. `agents` returns a mapping from names to
    the agents to which a call can be handed over. `used` is called with the usage that background work adds later, and
    `interrupted` with each turn that ended as complete, and is later found to have been interrupted.
    """

    def __init__(
        self,
        store: Store,
        *,
        limits: Limits | None = None,
        background: Background | None = None,
        finished: Callable[[TurnRecord], None] = lambda record: None,
        refusal: Refusal | None = None,
        enqueue: Callable[[Job], Awaitable[bool]] | None = None,
        agents: Callable[[], Mapping[str, AgentProtocol]] = dict,
        used: Callable[[TurnRecord], None] = lambda record: None,
        interrupted: Callable[[TurnRecord], None] = lambda record: None,
        crashed: Callable[[TurnRecord], None] = lambda record: None,
    ) -> None:
        self.store = store
        enqueue = enqueue or store.enqueue
        self.late = LateSaves(store, enqueue)
        self.states = LiveStates(store, self.late)
        self._corrections = Corrections(store, self.late, interrupted)
        self._orphans = Orphans(store, self.late)
        self.services = Services(
            store, limits or Limits(), self.states, background, finished, refusal, enqueue, self.late, agents=agents
        )
        self.services.used, self.services.interrupted, self.services.crashed = used, interrupted, crashed
        super().__init__(self.services.saves)
        store.on_signal(self._obey)

    def open(self) -> None:
        """Accept turns, also after an earlier `drain`, and retry the saves that an earlier event loop left behind."""
        super().open()
        self.late.open()

    async def drain(self, seconds: float = 0.0, goodbye: str = "") -> None:
        """Refuse new turns, and wait up to `seconds` for running turns to end. Then let the rest say `goodbye` and end.

        Finally, retry the pending saves one last time.
        """
        await super().drain(seconds, goodbye)
        await self.late.close()

    @property
    def limits(self) -> Limits:
        """The limits of the turns that begin from now on."""
        return self.services.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self.services.limits = limits

    @property
    def running(self) -> dict[str, LiveTurn]:
        """The running turns, by conversation id."""
        return self._running

    def running_record(self, conversation_id: str, turn_id: str) -> TurnRecord | None:
        """Return the current record of a turn if it runs in this worker and is not ending, else None."""
        live = self._running.get(conversation_id)
        if live is None or live.record.turn_id != turn_id or live.ending:
            return None
        live.collect()
        return live.record

    async def admit(self, agent: AgentProtocol, event: TurnEvent, listener: Listener, *, received: float) -> None:
        """Admit a turn for a listener: run it, join or follow it if it is running, or replay it if it has ended."""
        record = _record(agent, event)
        live = LiveTurn(record, received)
        record.timings["verified"] = live.elapsed_ms()
        context.enter(record)
        spans.stamp(record)
        if self._overloaded(record):
            await unrecorded.say_busy(self.services, live, listener, running=len(self._running))
            return
        failed = False
        try:
            if await self._taken(live, listener):
                return
            if self.late.waiting and await self._repeat_unsaved(record, listener):
                return
            with spans.span("history"):
                begun = await self.store.begin(record, history_tokens=self.services.tokens(agent))
            if begun.outcome != "new" and await self._repeat(agent, begun, live, listener):
                return
            if self.late.waits(record.conversation_id):
                await self._reload_unsaved(agent, begun)
            await self._run(agent, event, live, listener, begun)
        except StoreError as error:
            failed = True
            await unrecorded.apologise(self.services, agent, live, listener, error)
        finally:
            self._let_go(live)
            if failed:
                self._orphans.give_up(live.record.key, self._running)

    def _overloaded(self, record: TurnRecord) -> bool:
        """Return whether to refuse this turn: too many turns run, or the worker is shutting down.

        A turn that joins a running turn is accepted. A turn that replaces a running turn is refused only at shutdown.
        """
        running = self._running.get(record.conversation_id)
        if running is not None and (not self.closed or running.record.turn_id == record.turn_id):
            return False
        return self.closed or 0 < self.limits.max_turns <= len(self._running)

    async def _taken(self, live: LiveTurn, listener: Listener) -> bool:
        """Serve the request without a new turn if its turn has already begun or ended. Return whether this was done.

        If a turn of the conversation runs here, there are five cases:

        - If it is the requested turn, the listener joins it.
        - If the requested turn has ended, it is replayed.
        - If the requested turn runs on another worker, and is older than the turn that runs here, the listener follows
          the requested turn.
        - If the turn that runs here reports that the requested turn was interrupted, it is the newer one, and runs to
          its end. After that, the requested turn begins, and is stopped at once.
        - In any other case, the requested turn is newer than the turn that runs here. The older turn is stopped.

        If no turn of the conversation runs here, or after the older turn was stopped, register the requested turn as
        the one that runs here, and return False.
        """
        conversation_id, turn_id = live.record.key
        while (other := self._running.get(conversation_id)) is not None:
            if other.record.turn_id == turn_id:
                await delivery.join(other, listener)
                if other.frames or listener.gone:
                    return True
                continue  # The other request only followed another worker's turn; this request is admitted on its own.
            known = await self.store.get(conversation_id, turn_id)
            if known is not None and known.finished:
                await delivery.repeat(known, listener)
                return True
            if known is not None and _is_older(known, other.record):
                if await self._follow(known, listener):
                    return True
                await other.ended.wait()  # The worker of this turn has died, so the newer turn ends its record.
                continue
            if known is not None or earlier_turns.report_in(other.record, turn_id) is None:
                other.stop(Status.SUPERSEDED)
            await other.ended.wait()
        self._running[conversation_id] = live
        return False

    async def _repeat(self, agent: AgentProtocol, begun: Begun, live: LiveTurn, listener: Listener) -> bool:
        """Follow or replay a turn that is already in the journal; return False if it must run again here.

        A turn must run again if the worker that ran it has died, and this worker has claimed it.
        """
        known = begun.record
        if begun.outcome == "finished":
            await self._replay(agent, known, listener)
            return True
        while not await self._claimed(known):
            # The turn runs on another worker, so later turns of this conversation must not wait for it here.
            self._let_go(live)
            if await self._follow(known, listener):
                return True
            # The turn's worker died. Another worker may claim the turn before this one does.
            live.ended.clear()
            if await self._taken(live, listener):
                return True
            known = await self.store.get(*known.key) or known
            if known.finished:
                await self._replay(agent, known, listener)
                return True
        delivery.begin_again(known, posts_handoffs=bool(self.limits.handoff_url))
        begun.record = live.record = known
        self._running[known.conversation_id] = live
        await earlier_turns.reload(self.store, begun, tokens=self.services.tokens(agent))
        return False

    async def _replay(self, agent: AgentProtocol, known: TurnRecord, listener: Listener) -> None:
        """Replay a turn that has ended. If its worker died, speak the apology that the worker could not speak."""
        text = ""
        if marked_as_crashed(known) and await delivery.is_newest(self.store, known):
            text = apology(agent, self.limits, called=bool(known.tools))
        await delivery.repeat(known, listener, apology=text)

    async def _follow(self, known: TurnRecord, listener: Listener) -> bool:
        """Follow another worker's turn; return False if that worker died or gave the turn up."""
        follower = Follower(self.store, known, listener)
        self._followers.add(follower)
        try:
            return await follower.follow()
        finally:
            self._followers.discard(follower)

    async def _repeat_unsaved(self, record: TurnRecord, listener: Listener) -> bool:
        """Retry the pending saves of this conversation now, because this turn needs the history and state in them.

        If one of these saves belongs to this turn, the turn was delivered again after it had ended: replay it and return
        True.
        """
        known = await self.late.hurry(*record.key)
        if known is not None:
            await delivery.repeat(known, listener)
        return known is not None

    async def _reload_unsaved(self, agent: AgentProtocol, begun: Begun) -> None:
        """Retry the saves that failed before this turn began. Then read the history and state again.

        A turn can begin only if the journal is available, so the saves can succeed now. The history and the state then
        include the saved turns.
        """
        await self.late.hurry(begun.record.conversation_id, awaited=True)
        await earlier_turns.reload(self.store, begun, tokens=self.services.tokens(agent))

    async def _claimed(self, known: TurnRecord) -> bool:
        return not await self.store.held_elsewhere(known) and await self.store.claim(known)

    def _obey(self, signal: Signal) -> None:
        if signal.kind in ("heard", "scores"):
            self._corrections.receive(signal, self._running)
            return
        self.late.obey(signal)
        delivery.obey(signal, self._running, self.store)
        self._orphans.obey(signal, self._running)

    def _let_go(self, live: LiveTurn) -> None:
        if self._running.get(live.record.conversation_id) is live:
            del self._running[live.record.conversation_id]
        live.ended.set()

    async def _run(
        self, agent: AgentProtocol, event: TurnEvent, live: LiveTurn, listener: Listener, begun: Begun
    ) -> None:
        live.add(listener)
        earlier_turns.stop_if_interrupted(live, begun)
        tokens = self.services.tokens(agent)
        await earlier_turns.settle(self.services, event, begun, self._corrections, tokens=tokens)
        called, agent = agent, await current_agent.current(self.services, agent, live.record, begun)
        if agent.remembers:
            live.record.history_start = begun.history[0].position if begun.history else 0
        live.record.timings["history"] = live.elapsed_ms()
        await Run(self.services, agent, event, live, begun, first=called.name).to_the_end()
        await self._corrections.apply_early(live.record)


def _is_older(known: TurnRecord, running: TurnRecord) -> bool:
    """Return whether `known` has an earlier position in the journal than `running`.

    `running` has the position 0 until it is written to the journal. Until then, `known` is older, because the journal
    already contains it.
    """
    return not running.position or known.position < running.position


def _record(agent: AgentProtocol, event: TurnEvent) -> TurnRecord:
    return TurnRecord(
        conversation_id=event.conversation_id,
        turn_id=event.turn_id or "",
        session_id=event.session_id,
        kind=Kind.MESSAGE if isinstance(event, Message) else Kind.GREETING,
        agent=agent.name,
        fingerprint=agent.fingerprint,
        event=event.model_dump(mode="json", exclude_none=True),
        user_text=event.text if isinstance(event, Message) else "",
        metadata=event.metadata or {},
        started_at=time.time(),
    )
