"""The record of a turn. History, deduplication, replay, reports and the dev page are based on it.

Times are epoch seconds. Fields that end in `_ms`, and everything in `timings`, are milliseconds since the request was
received.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from operator import attrgetter
from typing import Any, Literal, TypeAlias

from .model_usage import Share, shares_of

Json: TypeAlias = Any
"""A value that JSON can hold."""


class Status(StrEnum):
    """The status of a turn."""

    RUNNING = "running"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    """The last client disconnected, the server shut down, or the platform later reported an interruption."""
    SUPERSEDED = "superseded"
    """A newer turn of the same conversation stopped it."""
    FAILED = "failed"


class Kind(StrEnum):
    """The kind of the event that a record describes."""

    GREETING = "greeting"
    MESSAGE = "message"
    DATA = "data"
    SESSION = "session"


CHECKED = "layercode-check-"
"""The prefix of the conversation ids that `check` sends. Reports, alerts and `sessions review` ignore these calls."""


Source: TypeAlias = Literal["model", "output", "say", "greeting", "filler", "apology"]
"""The source of spoken text.

- `model`: the model's text, as it is streamed
- `output`: the accepted output of the model's run
- `say`: the agent's code
- `greeting`: the agent's opening words
- `filler`: a text that covers a silence
- `apology`: a text after a failure, a refusal or a stop
"""
BY_MODEL = ("model", "output")
"""The sources of text that a model wrote."""


TTS, DATA, END, HANGUP = "response.tts", "response.data", "response.end", "response.hangup"
ERROR = "response.error"
"""The types of frames: speech, data, the end of a turn, the end of the call, and an error."""


@dataclass(slots=True)
class Frame:
    """One event of the answer, before it is encoded for the client."""

    type: str
    content: Json = None
    at_ms: float = 0.0


@dataclass(slots=True)
class Speech:
    """Consecutive spoken text from one source. `response` is the ordinal of the model's response in this turn."""

    source: Source
    response: int
    text: str


@dataclass(slots=True)
class ToolCall:
    """A tool call, recorded before the tool runs and again when it has ended."""

    id: str
    name: str
    args: Json
    started_ms: float
    ended_ms: float | None = None
    status: Literal["running", "done", "failed", "cancelled"] = "running"
    result: Json = None
    policy: str = "cancel"
    effects: Json = None
    """What the call did besides its result, for replays; None in journals of older versions. A key is absent if the
    call had no such effect. `fields` has the names of the changed fields of the agent's state; their values are in the
    turn's `state`. `stage` is the stage to which the call moved, and `agent` the agent to which it handed over. `said`
    is the text that the tool spoke. `leaves` is true if the agent said nothing more after a hand-over. `now` is true if
    the other agent answered the rest of the turn."""


@dataclass(slots=True)
class Stage:
    """A part of the turn, timed by `turn.span`; `usage` and `cost` are the sums over its model requests."""

    name: str
    started_ms: float
    ended_ms: float | None = None
    status: Literal["running", "done", "failed", "cancelled"] = "running"
    model: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    cost: float | None = None
    """Known dollars; see `cost_of`."""


@dataclass(slots=True)
class ModelCall:
    """One request to a model, with its own `usage` and `cost`, recorded when it begins and again when it ends."""

    model: str
    started_ms: float
    first_ms: float | None = None
    """Time of the first token; None if there was none, or if the response was not streamed."""
    ended_ms: float | None = None
    status: Literal["running", "done", "failed", "cancelled"] = "running"
    stage: str = ""
    """For a request of a helper agent: its innermost stage, or `HELPER` outside all stages. Otherwise empty."""
    usage: dict[str, int] = field(default_factory=dict)
    cost: float | None = None
    """Known dollars; see `cost_of`."""
    finish: str = ""
    """Why the model stopped, as PydanticAI names it: `stop`, `tool_call`, `length`, `content_filter`, `error`."""
    hedge: Literal["", "won", "lost", "slow"] = ""
    """Empty unless a slow request was sent a second time.

    Then `won` or `lost` marks the second request, and `slow` marks a first request that lost to the second.
    """

    @property
    def answers(self) -> bool:
        """Whether the agent itself made this request, not a helper agent.

        If the request was sent twice (hedged), only the request that won counts.
        """
        return not self.stage and self.hedge not in ("lost", "slow")


HELPER = "helper"
"""The stage of a helper agent's request that was made while no `turn.span` was open."""
SUMMARY_STAGE = "summary"
"""The stage of the model requests that jobs of the turn made, such as the one that writes a summary."""


@dataclass(slots=True)
class TurnRecord:
    """Everything that the journal knows about one turn."""

    conversation_id: str
    turn_id: str
    kind: Kind
    agent: str
    session_id: str = ""
    status: Status = Status.RUNNING
    fingerprint: str = ""
    model: str = ""
    owner: str = ""
    attempt: int = 1
    retries: int = 0
    """How often a failed request was repeated, with the same model or with the next fallback."""
    event: Json = None
    user_text: str = ""
    speech: list[Speech] = field(default_factory=list)
    before: str = ""
    """The text that earlier attempts spoke before their workers died; `speech` has only the text of this attempt."""
    heard_text: str | None = None
    resumes: str = ""
    """The id of the interrupted turn whose reply this turn continued, because the caller only made listening sounds."""
    pending: Json = None
    """The tool calls that wait for the caller's answer, and the question; see `conversation/pending.py`."""
    at_stage: str = ""
    """The stage of the agent in which the turn ended; empty for an agent without stages."""
    handed_to: str = ""
    """The agent that answers from the next turn on, if this turn handed the call over."""
    handed_by: list[str] = field(default_factory=list)
    """The agents that answered this turn before `agent` did, in order; each of them handed it over."""
    notes: list[str] = field(default_factory=list)
    tools: list[ToolCall] = field(default_factory=list)
    tasks: list[Json] = field(default_factory=list)
    """The calls of tasks that are not enqueued yet. They are enqueued when the turn ends."""
    stages: list[Stage] = field(default_factory=list)
    requests: list[ModelCall] = field(default_factory=list)
    """The requests to models, in the order they began; empty in journals of older versions."""
    state: Json = None
    summary: Json = None
    """The running summary that was written after this turn: `text`, `facts`, and the last `turn_id` that it covers."""
    metadata: dict[str, Json] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    usage: dict[str, int] = field(default_factory=dict)
    cost: float | None = None
    spent_before: dict[str, float] | None = None
    """Cost and tokens of all earlier turns of the conversation, set if a budget needs them. Never changed in place."""
    outlasting: list[str] = field(default_factory=list)
    """The names of work that may still add usage after the turn has ended, such as the job that writes a summary."""
    prompt: dict[str, str] = field(default_factory=dict)
    """Digests of the newest request's instructions and tools, under the keys `instructions` and `tools`."""
    prompt_changes: list[str] = field(default_factory=list)
    """What changed since the previous request: `instructions`, `tools`, `history`.

    Providers cannot use their prompt cache for the part of a request that follows a change.
    """
    outcomes: list[Json] = field(default_factory=list)
    scores: dict[str, Json] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    """The counters of `turn.count`, by `name` and by `name,label=value`."""
    error_category: str | None = None
    error: str | None = None
    error_detail: str = ""
    """The status, type, code and parameter of the provider's error, without its text."""
    failure: Json = None
    """The error's message, frames and fix, as `failure_of` returns them; stored only by `dev` and in forks."""
    impact: str = "nothing"
    trace_id: str = ""
    span_id: str = ""
    started_at: float = 0.0
    ended_at: float | None = None
    hangup: bool = False
    """Whether the agent asked to end the call."""
    cut_off: bool = False
    """Whether the turn was stopped before its agent had finished the reply."""
    history_start: int = 0
    """The position of the oldest turn in this turn's history; 0 if it had none. See `stores/history_steps.py`."""
    position: int = 0
    """The turn's position in the journal; set by the store."""
    messages: bytes = b""
    """The messages this turn added, encoded by `ModelMessagesTypeAdapter`; empty if no model ran."""
    frames: list[Frame] = field(default_factory=list)
    frames_attempt: int = 1
    """The number of the attempt that sent `frames`. After a takeover, it changes at the new worker's first save."""

    @property
    def frames_so_far(self) -> list[Frame]:
        """The frames of the current attempt; empty if it has not saved any."""
        return self.frames if self.frames_attempt == self.attempt else []

    @property
    def spoken_text(self) -> str:
        """All text of this attempt that was sent to be spoken."""
        return "".join(part.text for part in self.speech)

    @property
    def heard(self) -> str:
        """The text that the caller heard: everything that was spoken, unless an interruption cut it short."""
        return self.spoken_text if self.heard_text is None else self.heard_text

    @property
    def finished(self) -> bool:
        """Whether the turn has ended, with any status."""
        return self.status is not Status.RUNNING

    @property
    def hedges(self) -> tuple[int, int]:
        """How many slow requests were sent a second time, and how often the second request answered sooner."""
        if not self.requests:
            return 0, 0
        found = [call.hedge for call in self.requests]
        return found.count("won") + found.count("lost"), found.count("won")

    @property
    def shares(self) -> list[Share]:
        """The tokens and the cost of each model that was called."""
        return shares_of(self)

    @property
    def key(self) -> tuple[str, str]:
        """The conversation id and turn id, which identify a turn across duplicate deliveries."""
        return self.conversation_id, self.turn_id


def is_of_job(call: ModelCall, record: TurnRecord) -> bool:
    """Return whether a job of the turn made this request. The recorded time of such a request is the turn's end."""
    return call.stage == SUMMARY_STAGE and call.started_ms == call.ended_ms == record.timings.get("total", 0.0)


def clone(record: TurnRecord) -> TurnRecord:
    """Copy a record, including its lists and dictionaries.

    The items in them are not copied, except tool calls, stages and requests, which change while the turn runs.
    """
    copy = TurnRecord(*_all_of(record))
    for name in _LISTS:
        setattr(copy, name, list(getattr(record, name)))
    for name in _DICTIONARIES:
        setattr(copy, name, dict(getattr(record, name)))
    if record.tools:
        copy.tools = [replace(call) for call in record.tools]
    if record.stages:
        copy.stages = [replace(stage, usage=dict(stage.usage)) for stage in record.stages]
    if record.requests:
        copy.requests = [replace(call, usage=dict(call.usage)) for call in record.requests]
    return copy


_all_of = attrgetter(*(f.name for f in fields(TurnRecord)))
_LISTS = tuple(f.name for f in fields(TurnRecord) if f.default_factory is list)
_DICTIONARIES = tuple(f.name for f in fields(TurnRecord) if f.default_factory is dict)


def assign(record: TurnRecord, other: TurnRecord) -> None:
    """Overwrite a record with the values of another one; lists and dictionaries are copied."""
    copy = clone(other)
    for name in TurnRecord.__slots__:
        setattr(record, name, getattr(copy, name))
