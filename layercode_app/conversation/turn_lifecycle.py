"""Run one turn to its end: let the agent speak, then save and end the turn exactly once, whatever happens."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

from loguru import logger

from ..journal.crashed_turn import note_tools
from ..journal.record import END, HANGUP, Frame, Status
from ..observability import spans
from ..observability.errors import category_of, detail_of
from ..settings.limits import Limits
from . import carried_speech, current_agent, delivery
from .agent_protocol import AgentProtocol
from .checkpoint import note_jobs
from .fillers import Fillers
from .flow import begin_again
from .live import LiveTurn
from .pending import keep_undecided
from .prepare_and_save import Refusal, Work
from .timeout import Timeout, under
from .turn import Turn

CUT = ("length", "content_filter")
"""The finish reasons of an answer that the provider cut before the model had finished it."""


@dataclass(slots=True)
class Run(Work):
    """The run of one spoken turn."""

    async def to_the_end(self) -> None:
        """Speak the answer, or an apology if that fails, then save and end the turn."""
        try:
            keep_undecided(self.live.record, self.begun.history)
            turn = self.prepare()
            await self.recall(turn)
            if self.carried and self.live.stopping is None:
                await self._speak_carried()
            await self._speak_in_time(turn)
            if self.live.stopping is None:
                self.live.check_state()
        except BaseException as error:  # the caller hears an apology, whatever went wrong
            if isinstance(error, GeneratorExit) or (isinstance(error, asyncio.CancelledError) and self._is_cancelled()):
                raise
            self._fail(error)
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
        finally:
            await self._end()

    def _is_cancelled(self) -> bool:
        """Return whether a caught CancelledError means that the turn was cancelled.

        If the turn was not cancelled, the agent's own code raised the error.
        """
        task = asyncio.current_task()
        if self.live.stopping is None and task is not None and task.cancelling():
            # The server's shutdown cancelled the task, so the turn counts as interrupted too.
            self.live.stopping = Status.INTERRUPTED
        return self.live.stopping is not None

    async def _speak_carried(self) -> None:
        """Speak the output of data events that arrived while no turn ran, and remove it from the journal."""
        carried_speech.speak(self.live, self.carried, first=True)
        await carried_speech.forget(self.services.store, self.live.record.conversation_id, self.begun.metadata)

    # --- speaking

    async def _speak_in_time(self, turn: Turn[Any, Any]) -> None:
        """Let the agent speak until it is done, stopped or out of time."""
        live = self.live
        self._refuse_to_repeat_tools()
        fillers = self._fillers()
        live.task = task = asyncio.current_task()
        assert task is not None
        try:
            if live.stopping is None:
                seconds = self.agent.turn_timeout or self.services.limits.turn_timeout
                await under(_Listened(live, seconds), self._answer_within_budget(turn))
        except asyncio.CancelledError:
            if live.stopping is None:
                self._is_cancelled()
                raise
        finally:
            live.task = None
            if live.stopping is not None:
                task.uncancel()
            if fillers is not None:
                fillers.stop()

    def _fillers(self) -> Fillers | None:
        """Start the fillers of this turn; None for an agent without fillers."""
        filler = self.agent.filler
        if filler is None:
            return None
        fillers = Fillers(self.live, filler, self.services.limits.fillers if filler.texts is None else filler.texts)
        fillers.start()
        return fillers

    def _refuse_to_repeat_tools(self) -> None:
        """Raise CrashedTurnError if a crashed attempt called tools. Another attempt might book a second table."""
        record = self.live.record
        if record.attempt > 1 and record.tools:
            note_tools(record)
            raise delivery.CrashedTurnError(f"Turn {record.turn_id} died with its worker after a tool had started.")

    async def _answer_within_budget(self, turn: Turn[Any, Any]) -> None:
        refusal = self.services.refusal
        if refusal is None or not await self._refused(refusal):
            await self.agent.answer(turn)
            while self.live.flow is not None and self.live.flow.due:
                turn = await self._handed_over(self.live.flow.due)
                await self.agent.answer(turn)
            self._end_cut_answer()

    async def _handed_over(self, name: str) -> Turn[Any, Any]:
        """Let another agent answer this turn from here on, with its own state, prompt and model."""
        live, services = self.live, self.services
        note_jobs(live.record, self.noted, self.jobs)
        live.check_state()
        await live.checkpoint()
        self.first = self.first or self.agent.name
        begin_again(live, self.agent.name)
        before, self.agent = self.agent, services.agents()[name]
        left = self.state
        try:
            self.begun.state = (await services.store.conversation(live.record.conversation_id)).state
            await current_agent.enter(services, self.agent, live.record, self.begun, was=before)
            turn = self.prepare()
        finally:
            # Not earlier: until here, background work of the first agent may start, which shares its state. Work that
            # has ended since the checkpoint leaves its changes to this save.
            if self.state is not left:
                await services.states.leave_early(live.record, left)
        await self.recall(turn)
        return turn

    def _end_cut_answer(self) -> None:
        """Record that the provider cut the answer off. Speak a closing text if the answer ended in mid-sentence."""
        record = self.live.record
        last = next((call for call in reversed(record.requests) if call.answers), None)
        if last is None or last.finish not in CUT or last.status != "done":
            return
        record.error_category, record.impact = last.finish, "cut"
        logger.warning("The model's answer was cut by the provider: {}", last.finish)
        if self.live.spoken.in_mid_sentence:
            self.live.speak(self.services.limits.cut_answer, "apology")

    async def _refused(self, refusal: Refusal) -> bool:
        text = await refusal(self.live.record, self.begun.history, self.begun.state)
        if text is None:
            return False
        self.live.record.error_category, self.live.record.impact = "budget", "refusal"
        self.live.speak(text, "apology")
        return True

    def _fail(self, error: BaseException) -> None:
        record = self.live.record
        record.error_category, record.error = category_of(error), type(error).__name__
        record.error_detail = detail_of(error)
        record.impact = "apology"
        self.services.failed(record, error)
        spans.failed(error, record.error_category)
        told = f" ({record.error_detail})" if record.error_detail else ""
        logger.opt(exception=error).error("The turn failed: {}{}", record.error_category, told)
        out_of_time = record.error_category == "timeout"
        called = bool(record.tools) or self.live.run.worked
        text = apology(self.agent, self.services.limits, out_of_time=out_of_time, called=called)
        self.live.speak(text, "apology")

    # --- ending

    async def _end(self) -> None:
        """Save the turn, then send `response.end`, so that the journal has the turn when the client gets the end."""
        live, record = self.live, self.live.record
        if live.stopping is None:  # A turn that was stopped sends nothing more.
            live.end_text()
            carried_speech.speak(live, live.carried)
            live.carried = ()
        live.ending = True
        record.cut_off = live.stopping is not None and not live.run.answered
        record.status = live.stopping or (Status.FAILED if record.error else Status.COMPLETE)
        record.hangup = live.hang_up.asked
        if live.hang_up.asked:
            live.emit(HANGUP)
        end = Frame(END, None, live.elapsed_ms())
        if live.stopping is None:
            await self.save(total=end.at_ms, end=end)
        else:
            await self._save_stopped(end)
        live.frames.append(end)
        await live.flush_all()
        self.services.report(live)

    async def _save_stopped(self, end: Frame) -> None:
        """Save a turn that was stopped."""
        save = partial(self.save, total=end.at_ms, end=end, left=self.live.carried)
        # Save in a separate, strongly referenced task, so that stopping the turn does not cancel the save.
        saving = asyncio.ensure_future(save())
        self.services.saves.add(saving)
        saving.add_done_callback(self.services.saves.discard)
        try:
            await asyncio.shield(saving)
        except asyncio.CancelledError:
            # An event loop that closes cancels all tasks, so it cancels `saving`, too. But it waits for the end of this
            # task, so this task saves the turn itself.
            await asyncio.wait({saving})
            if saving.cancelled():
                await save()
            raise


class _Listened(Timeout):
    """A timeout for an agent's answer. While the timeout runs, the listeners are watched for disconnects."""

    __slots__ = ("_live",)

    def __init__(self, live: LiveTurn, seconds: float) -> None:
        super().__init__(seconds)
        self._live = live

    def __enter__(self) -> None:
        super().__enter__()
        self._live.watch()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.rest()
        super().__exit__(kind, error, trace)


def apology(agent: AgentProtocol, limits: Limits, *, out_of_time: bool = False, called: bool = False) -> str:
    """Return the apology for a turn that failed.

    `out_of_time` tells whether the turn timed out, and `called` whether it had called a tool.
    """
    own, common = agent.apology, limits.apology
    if out_of_time:
        own, common = agent.timeout_apology, limits.timeout_apology
    if called and not (out_of_time and own is not None):
        own, common = agent.tool_apology, limits.tool_apology
    return common if own is None else own
