"""A running turn: its frames, its listeners, and the ways to stop it.

There is no queue and no task per frame: the task that runs the turn writes its frames to the socket itself. More
listeners may join, and the turn continues while at least one is left.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVarTuple

from ..journal.outbound import AGENT
from ..journal.record import TTS, Frame, Json, Source, Status, ToolCall, TurnRecord
from ..journal.task_jobs import HANDOFF, handoff_call
from ..observability.debug_run import new_frames
from ..wellformed import REPLACEMENT
from .caller_notes import CallerNotes
from .flow import RESERVED, Flow, show_undone, stage_key
from .hang_up import HangUp
from .lazy_event import LazyEvent
from .listener import Listener
from .run_progress import RunProgress
from .sentences import to_sentence_end
from .spoken_text import SpokenText
from .state import LiveState

Args = TypeVarTuple("Args")

HOLD_SECONDS = 0.02
"""Seconds that the last words of a turn wait for the turn's end, so that both are sent in one packet."""


class Running:
    """A tool or an output function that is running, or a data event whose hooks are running."""

    cancelled = False
    said = ""
    """The text that it spoke."""


_running: ContextVar[Running | None] = ContextVar("layercode_running", default=None)
"""The tool, output function or data event that the current code belongs to. A tool that is a plain function runs in another thread;
PydanticAI gives that thread the tool's context."""


class LiveTurn:
    """A turn that is running in this worker, with its record. `received` is the monotonic time of the request."""

    # These defaults are class attributes, because a dataclass would set all of them for each turn.
    stopping: Status | None = None
    """The status with which the turn is being stopped; None if it is not."""
    ending = False
    """Whether the turn has said everything and only has to be saved."""
    saving = False
    """Whether the turn's end is being saved or is saved. Later changes to the record must be saved separately."""
    goodbye: str | None = None
    """At shutdown: the text to say at the end of the current sentence. Otherwise None."""
    followed = 0
    """The number of other workers that follow this turn by reading its frames from the journal."""
    publisher: asyncio.Task[None] | None = None
    task: asyncio.Task[None] | None = None
    """The task that runs the agent's answer, which `stop` cancels; None when no answer runs."""
    notes: CallerNotes | None = None
    """The notes on the caller; None if the agent keeps none."""
    state: LiveState[Any] | None = None
    flow: Flow | None = None
    """The current agent and stage of the conversation; set when the turn's work is prepared."""
    save: Callable[[], Awaitable[bool]] | None = None
    """Save the current record, see `Checkpoint.save`; set when the turn's work is prepared."""
    late: Callable[[LiveTurn, str, ToolCall | None], Awaitable[None]] | None = None
    """Save the effects of work that outlasted the turn; set when the turn's work is prepared."""
    carried: Sequence[dict[str, Any]] = ()
    """The output of data events that arrived during this turn. The turn speaks it after its own words."""
    _waking: asyncio.Handle | None = None
    _flushing = False
    """Whether `speak_out` is adding text. Then `emit` schedules no flush, because `speak_out` sends the frames."""

    def __init__(self, record: TurnRecord, received: float) -> None:
        self.record = record
        self.received = received
        self.ended = LazyEvent()
        self.saved = LazyEvent()
        self._tasks = 0
        self._works = 0
        self.frames: list[Frame] = new_frames()
        self._listeners: list[Listener] = []
        self.spoken = SpokenText()
        self.run = RunProgress()
        self.hang_up = HangUp()
        self._wakers: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def in_loop(self, function: Callable[[*Args], object], *args: *Args) -> None:
        """Call the function in the event loop's thread: at once if that is the current thread, otherwise soon.

        PydanticAI runs a tool that is a plain function in another thread. The functions that the tool passes to
        `in_loop` are called in the order in which they were passed, and before the loop learns that the tool has ended.
        Raises CancelledError in the thread of a cancelled tool.
        """
        if threading.get_ident() == self._thread:
            function(*args)
        else:
            self.check_thread()
            self._loop.call_soon_threadsafe(function, *args)

    def check_thread(self) -> None:
        """Raise CancelledError in the thread of a tool that was cancelled, for example because it timed out.

        Python cannot stop a thread. So a plain function is stopped when it uses the turn. An async function is stopped
        at an `await`.
        """
        running = _running.get()
        if running is not None and running.cancelled and threading.get_ident() != self._thread:
            raise asyncio.CancelledError("This tool was cancelled, so it can no longer use its turn.")

    @staticmethod
    def in_tool() -> bool:
        """Return whether the current code belongs to a tool, an output function or a data event."""
        return _running.get() is not None

    @staticmethod
    @contextmanager
    def in_output_function() -> Iterator[None]:
        """Treat the code in this context as an output function.

        An output function can ask for a hang-up or a hand-over, as a tool can. If a guard refuses the reply, such
        requests are undone.
        """
        token = _running.set(Running())
        try:
            yield
        finally:
            _running.reset(token)

    @staticmethod
    def leave_tool() -> None:
        """Let the current task go on if the tool that started it is cancelled."""
        _running.set(None)

    # --- frames

    def elapsed_ms(self) -> float:
        """Return the milliseconds since the request was received."""
        # Rounded to the microsecond; `round` is slower, because it works on decimal digits.
        return int((time.perf_counter() - self.received) * 1e6 + 0.5) / 1000

    def first_token(self) -> None:
        """Record the time of the first token of the current model request and of the turn."""
        request = self.run.request
        if request is not None and request.first_ms is None:
            request.first_ms = self.elapsed_ms()
            self.record.timings.setdefault("ttft", request.first_ms)

    def add_task(self, name: str, arguments: dict[str, Json]) -> None:
        """Record that one of the current agent's tasks was called. A job for it is enqueued when the turn ends."""
        call = {"number": self._tasks, "task": name, "arguments": arguments, "agent": self.record.agent}
        self.record.tasks.append(call)
        self._tasks += 1

    def add_handoff(self, reason: str) -> None:
        """Record that a person should be notified. A job that posts the notice is enqueued when the turn ends.

        Until then, the turn's record contains the notice, in its list of task calls. If the journal is unavailable when
        the turn ends, the job is enqueued later. If this worker dies before it has enqueued the job, another worker
        enqueues the job from the saved record. No notice is posted if LAYERCODE_HANDOFF_URL is not set.
        """
        outcomes, outcome = self.record.outcomes, {"name": HANDOFF, "value": None, "reason": reason}
        outcomes.append(outcome)
        if self.run.posts_handoffs:
            # Search for the outcome. It may not be the last one: a tool in another thread may have added one, too.
            number = next(number for number, one in enumerate(outcomes) if one is outcome)
            self.record.tasks.append(handoff_call(self.record, number))

    def begin_work(self) -> int:
        """Return a new number that identifies background work which begins now."""
        self._works += 1
        return self._works

    def emit(self, kind: str, content: Json = None) -> None:
        """Add a frame; it is sent at the next flush or in the next iteration of the event loop."""
        self.frames.append(Frame(kind, content, self.elapsed_ms()))
        if not self._flushing:
            self._wake_soon()

    async def speak_out(self, text: str, source: Source) -> None:
        """Add text to be spoken, and send all pending frames to the first listener before returning."""
        self._flushing = True
        try:
            self.speak(text, source)
        finally:
            self._flushing = False
        if len(self._listeners) > 1:
            self._wake_soon()
        if self._listeners:
            await self._listeners[0].catch_up(self.frames)

    def speak_last(self, text: str, source: Source) -> None:
        """Add the last text to be spoken; it is sent with the end of the turn, or after `HOLD_SECONDS`."""
        if self._waking is None:
            self._waking = asyncio.get_running_loop().call_later(HOLD_SECONDS, self._wake)
        self.speak(text, source)

    def speak(self, text: str, source: Source) -> None:
        """Add text to be spoken; an empty text is ignored."""
        if source == "say" and (running := _running.get()) is not None:
            running.said += text
        spoken = self.spoken
        if spoken.half or not text.isascii():
            if spoken.half_is_of_another(source, self.run.response):
                self.end_text()
            text = spoken.join_half(text, source, self.run.response)
        if self.goodbye is None:
            self._say(text, source)
            return
        if self.stopping is None:
            text, ended = to_sentence_end(text)
            self._say(text, source)
            if ended:
                self._say_goodbye(self.goodbye)

    def _say(self, text: str, source: Source) -> None:
        if not text:
            return
        begun = self.spoken.begun
        self.emit(TTS, self.spoken.add(text, source, self.run.response))
        if self.spoken.begun is not begun:
            self.record.timings["ttfs"] = self.frames[-1].at_ms

    def end_text(self) -> None:
        """Replace a held-back half of a character by a placeholder, because its other half will not arrive."""
        source = self.spoken.drop_half()
        if source is not None:
            self._say(REPLACEMENT, source)

    def collect(self, *, end: Frame | None = None) -> None:
        """Write the frames and the speech so far into the record. If there is an `end`, write it as the last frame."""
        self.record.frames = [*self.frames, end] if end else list(self.frames)
        self.record.frames_attempt = self.record.attempt
        self.record.speech = self.spoken.runs()

    async def checkpoint(self) -> bool:
        """Save the turn's record as it is now. Return True, or False if the turn was stopped.

        The turn is stopped here if another worker has taken it over or ended it. Raises CrashedTurnError if the turn
        was marked as crashed and the conversation has no newer turn. In this case, the caller must hear an apology.
        """
        if self.save is None or self.ending:
            return True
        self.collect()
        kept = await self.save()
        if not kept:
            self.stop(Status.SUPERSEDED)
        return kept

    def check_state(self) -> None:
        """Raise StateError if the state cannot be saved."""
        if self.state is not None:
            self.state.check()

    @contextmanager
    def undoable(
        self,
        effects: dict[str, Json] | None = None,
        *,
        like_cancelled: Callable[[BaseException], bool] = lambda error: False,
    ) -> Iterator[None]:
        """Run a tool, or the hooks for a data event, in this context.

        If the block is cancelled, its changes to state, stage, agent and hang-up are undone. A timeout must be outside
        this context, so that it counts as a cancellation. `like_cancelled` tells which other errors also count as one.
        At the end, the changes and the words of the block are put into `effects`, in the format of `ToolCall.effects`.
        """
        work, parts = Running(), self._parts()
        token = _running.set(work)
        for part in parts:
            part.begin(work)
        try:
            yield
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) or like_cancelled(error):
                work.cancelled = True
                for part in parts:
                    part.cancel(work)
                show_undone(self)
            raise
        finally:
            _running.reset(token)
            changed = [key for part in parts for key in part.end(work)]
            if effects is not None:
                effects |= self._effects(work, changed)

    def _effects(self, work: Running, changed: Sequence[str]) -> dict[str, Json]:
        # Record only the names of the changed fields. Their values may be large, or secrets that a later tool removes.
        found: dict[str, Json] = {"fields": [key for key in changed if not key.startswith(RESERVED)], "said": work.said}
        if stage_key(self.record.agent) in changed:
            found["stage"] = self.record.at_stage
        if AGENT in changed and self.flow is not None:
            found |= {"agent": self.flow.agent, "leaves": self.flow.leaving, "now": bool(self.flow.due)}
        return {name: value for name, value in found.items() if value}

    def _parts(self) -> list[LiveState[Any] | Flow | HangUp]:
        return [part for part in (self.state, self.flow, self.hang_up) if part is not None]

    def busy_parts(self) -> Sequence[LiveState[Any] | Flow | HangUp]:
        """Return which of the state, the flow and the hang-up may have been changed by a running tool or data event."""
        state, flow, hang_up = self.state, self.flow, self.hang_up
        if not hang_up.busy and (state is None or not state.busy) and (flow is None or not flow.busy):
            return ()  # This is called often, and most turns have no running tool.
        return [part for part in self._parts() if part.busy]

    # --- listeners

    async def flush_all(self) -> None:
        """Send the pending frames to all listeners."""
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None
        for listener in list(self._listeners):
            await listener.catch_up(self.frames)

    def _wake_soon(self) -> None:
        if self._waking is None:
            self._waking = asyncio.get_running_loop().call_soon(self._wake)

    def _wake(self) -> None:
        """Send each listener the frames that it has not got yet, such as the words of tools and hooks."""
        self._waking = None
        if all(listener.up_to_date(self.frames) for listener in self._listeners):
            return
        waker = asyncio.get_running_loop().create_task(self.flush_all())
        self._wakers.add(waker)
        waker.add_done_callback(self._wakers.discard)

    def add(self, listener: Listener) -> None:
        """Add a listener, which gets all frames from the first one on."""
        self._listeners.append(listener)
        listener.attach(self._leave)

    def watch(self) -> None:
        """Start to watch for disconnects, so that the agent stops working if no listener is left."""
        for listener in self._listeners:
            listener.watch()

    def rest(self) -> None:
        """Stop watching for disconnects: the agent is done, so a disconnect need not stop anything."""
        for listener in self._listeners:
            listener.rest()

    def _leave(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)
        self._stop_if_alone()

    def unfollow(self) -> None:
        """Remove a follower on another worker, and stop the turn if no listener or follower is left."""
        self.followed -= 1
        self._stop_if_alone()

    def _stop_if_alone(self) -> None:
        if not self._listeners and self.followed <= 0:
            self.stop(Status.INTERRUPTED)

    # --- the end

    def say_goodbye(self, text: str, *, at_once: bool = False) -> None:
        """Say a goodbye after the current sentence, then stop the turn. Used when the server shuts down.

        With `at_once`, do not wait for the end of the sentence.
        """
        self.goodbye = text
        if self.stopping is None and (at_once or not self.spoken.begun or not self.spoken.in_mid_sentence):
            self._say_goodbye(text)

    def _say_goodbye(self, text: str) -> None:
        if not self.ending:
            self._say(text, "apology")
            self.record.impact = "goodbye"
            self.stop(Status.INTERRUPTED)

    def stop(self, status: Status) -> None:
        """Stop the turn as interrupted or superseded; do nothing if it is already stopping or ending."""
        if self.stopping is None and not self.ending:
            self.stopping = status
            if self.task is not None:
                self.task.cancel()
