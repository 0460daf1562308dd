"""`Turn`: the one object that is handed to tools and hooks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from ..exceptions import DeveloperError
from ..observability import metrics
from ..webhook import Event
from .cost import FREE_MODEL
from .history import history_of
from .live import LiveTurn
from .record import DATA, Json, Source, TurnRecord
from .stages import staged
from .tasks import task_name
from .trimming import fit

if TYPE_CHECKING:
    from loguru import Logger
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import Model

StateT = TypeVar("StateT", default=None)
MetadataT = TypeVar("MetadataT", default=dict[str, Any])

MAX_COUNTS = 100
"""More counters of one turn are not kept in its record."""
HANDOFF = "handoff"
"""The outcome of a turn that asked for a person."""
HANDOFF_TEXT = "I've noted that a person should take over from here. "

Background = Callable[[Coroutine[Any, Any, Any]], None]


class Turn(Generic[StateT, MetadataT]):
    """One turn of a conversation: what came, what is known, and the ways to answer.

    `state` is this conversation's, typed, and saved with the turn. `metadata` is what `/api/authorize` established,
    merged with what the event carries.
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
        background: Background | None = None,
    ) -> None:
        self.event = event
        self.state = state
        self.metadata = metadata
        self._live = live
        self._past = past
        self._remembers = remembers
        self._tokens = tokens
        self._background = background
        self.model: Model | None = None
        """What answers this turn, where a model does; set by the runner."""

    # --- what came

    @property
    def conversation_id(self) -> str:
        """Stable over reconnects; the key of history."""
        return self._live.record.conversation_id

    @property
    def session_id(self) -> str:
        """One connection."""
        return self._live.record.session_id

    @property
    def turn_id(self) -> str:
        """This turn."""
        return self._live.record.turn_id

    @property
    def agent(self) -> str:
        """The name of the agent that answers."""
        return self._live.record.agent

    @property
    def text(self) -> str:
        """What the caller said; empty for a greeting."""
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
        """What the journal keeps of this turn."""
        return self._live.record

    @property
    def past(self) -> Sequence[TurnRecord]:
        """The earlier turns that fit the history's budget, oldest first.

        Raises DeveloperError in an agent without a model that did not ask for them.
        """
        if not self._remembers:
            raise DeveloperError(
                f"Agent {self.agent!r} has no model, so its history was not read. "
                f"Write VoiceAgent({self.agent!r}, history=True) to use turn.history and turn.past."
            )
        return self._past

    @cached_property
    def history(self) -> list[ModelMessage]:
        """The earlier turns as the model is given them: as they were heard, within the budget of tokens."""
        return fit(history_of(self.past), self._tokens)

    @property
    def last(self) -> TurnRecord | None:
        """The turn before this one, also for an agent that does not look at its history."""
        return self._past[-1] if self._past else None

    @property
    def resumed(self) -> bool:
        """Whether this conversation was known before this session."""
        return any(turn.session_id != self.session_id for turn in self._past)

    # --- ways to answer

    def say(self, text: str, *, source: Source = "say") -> None:
        """Speak text; pieces are concatenated as they are, so keep their spaces."""
        self._live.speak(text, source)

    def data(self, content: Json) -> None:
        """Send JSON to the caller's browser; it is not spoken."""
        self._live.emit(DATA, content)

    def hangup(self) -> None:
        """End the call once what was said has been played."""
        self._live.hangup = True

    def outcome(self, name: str, *, value: float | None = None) -> None:
        """Record what the call achieved, such as `outcome("booked", value=42.0)`, for `report`."""
        self.record.outcomes.append({"name": name, "value": value})

    def handoff(self, reason: str, *, say: str = HANDOFF_TEXT) -> None:
        """Ask for a person to take over: recorded as an outcome, told to LAYERCODE_HANDOFF_URL, and said to the caller.

        The call itself goes on with the agent: the platform has no transfer that this could claim.
        """
        self.record.outcomes.append({"name": HANDOFF, "value": None, "reason": reason})
        self.say(say)

    def score(self, name: str, value: float | str | bool, *, comment: str | None = None) -> None:
        """Record a quality score on this turn."""
        self.record.scores[name] = {"value": value, "comment": comment}

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Count something of your own: `turn.count("orders", size="large")`; few values per label.

        It is a metric, and an alert may watch it: `count(orders, size=large) < 1`.
        """
        counts = self.record.counts
        for key in (name, *(f"{name},{label}={value}" for label, value in labels.items())):
            if key in counts or len(counts) < MAX_COUNTS:
                counts[key] = counts.get(key, 0) + amount
        metrics.count(name, amount, **labels)

    def span(self, name: str, **attributes: AttributeValue) -> AbstractContextManager[Span]:
        """A stage of your own below this turn: `with turn.span("look up", table="bookings"):`.

        Its time is kept in the journal, with the tokens and the cost of the models in it that `helper_model` gave.
        """
        return staged(self._live, name, attributes)

    def background(self, work: Coroutine[Any, Any, Any] | Callable[..., Awaitable[Any]], **arguments: Json) -> None:
        """Let work go on after the turn, with its trace.

        A coroutine runs at once; its errors are logged, and shutdown waits for it, but a restart ends it. A task of the
        agent's (`@agent.task`) with JSON arguments is kept in the journal: it runs once, also across a restart, and is
        tried again when it fails.
        """
        if not isinstance(work, Coroutine):
            self._live.owed.append((task_name(work), arguments))
            return
        coroutine = work
        if self._background is None:
            coroutine.close()
            raise RuntimeError("This turn has no server to run background work; use LayerCode, or await it.")
        self._background(coroutine)

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
        """The model for a helper agent: the one asked for, or this turn's own where none is, or where it is offline.

        What it uses is counted for this turn, and for the stages (`turn.span`) it is used in.
        """
        from .metering import Metered

        own = asked is None or getattr(self.model, "model_name", "") == FREE_MODEL
        chosen = self.model if own else asked
        return None if chosen is None else Metered(chosen, self._live)

    # --- for the runner

    async def speak(self, text: str, source: Source = "model") -> None:
        """Speak text and hand it to the socket before returning, so that a slow caller slows the model."""
        await self._live.speak_out(text, source)

    def speak_last(self, text: str, source: Source = "model") -> None:
        """Speak text after which nothing comes: it may leave with the end of the turn."""
        self._live.speak_last(text, source)

    @property
    def live(self) -> LiveTurn:
        """The running turn behind this one, for the runner."""
        return self._live
