"""`Turn`: the object with which tools and hooks read and answer an event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from ..exceptions import DeveloperError
from ..jobs.tasks import task_name
from ..journal.cost import FREE_MODEL
from ..journal.outbound import DIRECTION, OUTBOUND
from ..journal.record import DATA, Json, Source, ToolCall, TurnRecord
from ..webhook import Event
from ..wellformed import Number
from .caller_notes import CallerNotes
from .flow import RESUMED, hand_over, move_on
from .history import history_of
from .late_work import start
from .live import LiveTurn
from .page_data import to_json
from .pending import asked_in
from .playback import say_progress
from .recorded import record_count, record_outcome, record_score
from .session_values import YES
from .stages import staged
from .summary import KeptSummary, Summary, tokens_of_turns
from .trimming import fit

if TYPE_CHECKING:
    from loguru import Logger
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import Model

StateT = TypeVar("StateT", default=None)
MetadataT = TypeVar("MetadataT", default=dict[str, Any])

HANDOFF_TEXT = "I've noted that a person should take over from here. "

Background = Callable[[Coroutine[Any, Any, Any]], None]


class Turn(Generic[StateT, MetadataT]):
    """One turn of a conversation: its event, its context, and the methods to answer.

    `state` is the typed state of the conversation, saved with the turn. `metadata` is the metadata that
    `/api/authorize` stored for the conversation, merged with the event's metadata.
    """

    def __init__(
        self,
        event: Event,
        live: LiveTurn,
        *,
        state: StateT,
        metadata: MetadataT,
        past: Sequence[TurnRecord] = (),
        remembers: bool = True,
        tokens: int = 8000,
        summary: KeptSummary | None = None,
        background: Background | None = None,
    ) -> None:
        self.event = event
        self._state = state
        self.metadata = metadata
        self._live = live
        self._past = past
        self._remembers = remembers
        self.tokens = tokens
        """The token budget of the history."""
        self._summary = summary
        self._background = background
        self.model: Model | None = None
        """The model that answers this turn, if any; set by the runner."""

    # --- the event

    @property
    def conversation_id(self) -> str:
        """The id of the conversation. It stays the same across reconnects, and is the key of the history."""
        return self._live.record.conversation_id

    @property
    def session_id(self) -> str:
        """The id of the session, which is one connection."""
        return self._live.record.session_id

    @property
    def turn_id(self) -> str:
        """The id of this turn."""
        return self._live.record.turn_id

    @property
    def agent(self) -> str:
        """The name of the agent that answers."""
        return self._live.record.agent

    @property
    def text(self) -> str:
        """The caller's words; empty for a greeting."""
        return self._live.record.user_text

    @property
    def from_phone_number(self) -> str | None:
        """The caller's number, on a phone call."""
        return self.event.from_phone_number

    @property
    def to_phone_number(self) -> str | None:
        """The number that was called, on a phone call."""
        return self.event.to_phone_number

    @property
    def record(self) -> TurnRecord:
        """The record of this turn, as the journal stores it."""
        return self._live.record

    @property
    def state(self) -> StateT:
        """The state of the conversation, which is saved with the turn. None for an agent without a state model.

        If a model is assigned, its values are copied into the state: `turn.state = Order()` empties the order. Raises
        DeveloperError for a model of another class, or if the agent has no state model.
        """
        self._live.check_thread()
        return self._state

    @state.setter
    def state(self, model: StateT) -> None:
        live = self._used
        if live.state is None:
            raise DeveloperError(
                f"Agent {self.agent!r} has no state. Write VoiceAgent({self.agent!r}, ..., state=Order)."
            )
        live.state.assign(model)

    @property
    def outbound(self) -> bool:
        """Whether the agent placed this call. `platform call` writes `direction: outbound` into the metadata."""
        return self.record.metadata.get(DIRECTION) == OUTBOUND

    @property
    def past(self) -> Sequence[TurnRecord]:
        """The newest earlier turns that fit the token budget of the history. The list begins with the oldest of them.

        Raises DeveloperError for an agent without a model, unless it was created with `history=True`.
        """
        if not self._remembers:
            raise DeveloperError(
                f"Agent {self.agent!r} has no model, so its history was not read. "
                f"Write VoiceAgent({self.agent!r}, history=True) to use turn.history and turn.past."
            )
        return self._past

    @cached_property
    def history(self) -> list[ModelMessage]:
        """The messages of earlier turns for the model: replies as they were heard, within the token budget.

        The notes on the caller and the running summary of still earlier turns, if there are any, come first.
        """
        history, notes = history_of(self.past), self._live.notes
        known = [] if notes is None else notes.messages(self.tokens)
        if self._summary is None:
            return [*known, *fit(history, self.tokens)]
        return [*known, *self._summary.messages(), *fit(history, tokens_of_turns(self.tokens))]

    @property
    def notes(self) -> CallerNotes:
        """The notes on the caller from earlier calls; `notes.add(fact)` keeps a fact for later calls.

        Raises DeveloperError for an agent without `remember=`.
        """
        if self._live.notes is None:
            raise DeveloperError(
                f"Agent {self.agent!r} keeps no notes of this caller. Write VoiceAgent({self.agent!r}, ..., "
                'remember=lambda turn: turn.metadata["user_id"]), and make sure that the function returns an id.'
            )
        return self._live.notes

    @property
    def summary(self) -> Summary | None:
        """The running summary of the turns before the history; None for an agent without `summary=`."""
        return None if self._summary is None else self._summary.summary

    @property
    def last(self) -> TurnRecord | None:
        """The turn before this one, or None. Agents that do not read their history can use it too."""
        return self._past[-1] if self._past else None

    @property
    def asked(self) -> TurnRecord | None:
        """The previous turn if it has tool calls that wait for the caller's answer, else None."""
        return asked_in(self._past)

    @property
    def resumed(self) -> bool:
        """Whether this session began after an earlier session of the conversation."""
        flow = self._live.flow
        return flow is not None and flow.kept_for(RESUMED, self.session_id) == YES

    @property
    def stage(self) -> str:
        """The name of the agent's current stage; "" for an agent without stages."""
        return self.record.at_stage

    # --- ways to answer

    @property
    def _used(self) -> LiveTurn:
        """The running turn, for a method that changes it. Raises CancelledError in the thread of a cancelled tool."""
        self._live.check_thread()
        return self._live

    def say(self, text: str, *, source: Source = "say") -> None:
        """Speak text. Consecutive texts are joined without spaces, so include the spaces."""
        _check_text("turn.say", text)
        self._live.in_loop(self._live.speak, text, source)

    def progress(self, text: str) -> None:
        """Tell the caller the progress of a slow task, such as `turn.progress("I have the first half.")`.

        The text is spoken at once, and the wait for the next filler restarts. The text is dropped if it was already
        said in this turn, if more than two seconds of speech are still to be played, or if the reply is complete.
        """
        _check_text("turn.progress", text)
        self._live.in_loop(say_progress, self._live, text)

    def data(self, content: Json) -> None:
        """Send JSON to the caller's browser; it is not spoken. Pydantic models, dataclasses and dates become JSON.

        Raises DeveloperError if the content cannot be converted to JSON.
        """
        self._live.in_loop(self._live.emit, DATA, to_json("turn.data", content))

    def hangup(self) -> None:
        """End the call after everything said so far has been played."""
        live = self._used
        live.hang_up.ask(by_tool=live.in_tool())

    def outcome(self, name: str, *, value: Number | None = None) -> None:
        """Record what the call achieved, such as `outcome("booked", value=42.0)`, for the command `report`.

        If the value is not a finite number, an error is logged, and the outcome is recorded without a value.
        """
        record_outcome(self._used.record, name, value)

    def handoff(self, reason: str, *, say: str = HANDOFF_TEXT) -> None:
        """Ask for a person to take over: record an outcome, notify LAYERCODE_HANDOFF_URL, and tell the caller.

        The call itself goes on with the agent, because the platform cannot transfer calls.
        """
        self._used.add_handoff(reason)
        self.say(say)

    def hand_to(self, agent: str, *, say: str = "", now: bool = False) -> None:
        """Let another agent of the server answer from the next turn on, or from now on if `now` is true.

        The other agent gets the history of the call, and uses its own state, prompt, tools and model. With `say` or
        `now`, the current agent says nothing more after its running tools have ended. Raises DeveloperError if the
        server has no such agent.
        """
        handed = hand_over(self._used, agent, now=now, quiet=bool(say))
        if handed and say:
            self.say(say)

    def go_to(self, stage: str) -> None:
        """Move to another stage of the agent; the next model request uses that stage's tools and instructions.

        Raises DeveloperError if the agent has no such stage.
        """
        move_on(self._used, stage)

    def score(self, name: str, value: Number | str | bool, *, comment: str | None = None) -> None:
        """Record a quality score on this turn. The value is a finite number, a text, True or False.

        For any other value, an error is logged and nothing is recorded.
        """
        record_score(self._used.record, name, value, comment)

    def count(self, name: str, amount: Number = 1, **labels: str) -> None:
        """Increase a custom counter: `turn.count("orders", size="large")`. Use few different values per label.

        The counter is a metric, and an alert can watch it: `count(orders, size=large) < 1`. If the amount is not a
        finite number, an error is logged and nothing counted.
        """
        record_count(self._used.record, name, amount, labels)

    def span(self, name: str, **attributes: AttributeValue) -> AbstractContextManager[Span]:
        """Time a part of this turn under a name that you choose: `with turn.span("look up", table="bookings"):`.

        The journal stores this part in the turn's `stages`: the duration, and the tokens and the cost of the requests
        that this part makes to helper models (`turn.helper_model`).
        """
        return staged(self._used, name, attributes)

    def background(self, work: Coroutine[Any, Any, Any] | Callable[..., Awaitable[Any]], **arguments: Json) -> None:
        """Run work that may outlast the turn, in the turn's trace.

        A coroutine starts at once. Its errors are logged, and shutdown waits for it, but it does not survive a restart.
        A task (a function with `@agent.task`) is enqueued as a job in the journal when the turn ends: the job survives a
        restart, and is retried if it fails. Its arguments are stored as JSON, and converted back to the types of the
        task's parameters.
        """
        if not isinstance(work, Coroutine):
            self._used.add_task(task_name(work), to_json("turn.background", arguments))
            return
        coroutine = work
        if self._background is None:
            coroutine.close()
            raise RuntimeError("This turn has no server to run background work. Use LayerCode, or await the work.")
        try:
            live = self._used
        except asyncio.CancelledError:
            coroutine.close()
            raise
        live.in_loop(start, self._background, live, coroutine)

    def finish_in_background(self, work: Coroutine[Any, Any, Any], call: ToolCall) -> None:
        """Run a tool call to its end in the background after its turn was interrupted, and save the call's effects.

        `work` waits for the tool. Only this package calls this method, for a tool that an interruption does not cancel.
        """
        if self._background is None:
            work.close()
            raise RuntimeError("This turn has no server to run background work.")
        start(self._background, self._live, work, call)

    @property
    def log(self) -> Logger:
        """A logger whose lines carry this turn's ids."""
        from loguru import logger

        record = self.record
        return logger.bind(
            conversation_id=record.conversation_id,
            session_id=record.session_id,
            turn_id=record.turn_id,
            agent=record.agent,
        )

    def helper_model(self, asked: Model | str | None = None) -> Model | None:
        """Return the model for a helper agent: `asked`, or this turn's model.

        This turn's model is returned if `asked` is None, or if this turn's model is the offline model.
        The model's usage counts towards this turn, and towards the stages (`turn.span`) in which it is called.
        """
        from .helper_models import Metered

        own = asked is None or getattr(self.model, "model_name", "") == FREE_MODEL
        chosen = self.model if own else asked
        return None if chosen is None else Metered(chosen, self._live)

    # --- for the runner

    async def speak(self, text: str, source: Source = "model") -> None:
        """Speak text and write it to the socket before returning, so that a slow client slows down the model."""
        await self._live.speak_out(text, source)

    def speak_last(self, text: str, source: Source = "model") -> None:
        """Speak the last text of the turn; it may be sent together with the end of the turn."""
        self._live.speak_last(text, source)

    @property
    def live(self) -> LiveTurn:
        """The internal object of the running turn. Only this package uses it, for example the agent runner."""
        return self._live


def _check_text(what: str, text: object) -> None:
    """Raise DeveloperError unless `text` is a text. `what` is the name of the method in the error's message."""
    if isinstance(text, str):
        return
    fix = (
        "Write `await` before the call that returns the text." if isawaitable(text) else "Use str(...) or an f-string."
    )
    raise DeveloperError(f"{what} got {text!r}; expected a text. {fix}")
