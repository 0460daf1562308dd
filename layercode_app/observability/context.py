"""The ids of the turn that the current task works on: set here once, read by every sink."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol


class Identified(Protocol):
    """Anything that carries a turn's ids."""

    conversation_id: str
    session_id: str
    turn_id: str
    agent: str
    trace_id: str
    span_id: str


@dataclass(slots=True)
class Ids:
    """The ids of work that is no turn, such as an owed job."""

    agent: str
    conversation_id: str = ""
    session_id: str = ""
    turn_id: str = ""
    trace_id: str = ""
    span_id: str = ""


@dataclass(slots=True)
class Request:
    """The HTTP request that the current task answers; `headers` are those that may be logged."""

    method: str
    path: str
    started: float
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None
    logged: bool = False
    """Whether a line with its figures was written already."""
    traced: bool = False
    """Whether it has a span already."""
    refusal: str = ""
    """Why it was refused, without anything that it sent."""


request: ContextVar[Request | None] = ContextVar("layercode_request", default=None)
_current: ContextVar[Identified | None] = ContextVar("layercode_turn", default=None)
_for_somebody: ContextVar[bool] = ContextVar("layercode_for_somebody", default=False)


def refuse(reason: str) -> None:
    """The current request is refused for this reason, which quotes nothing of what was sent."""
    if (asked := request.get()) is not None:
        asked.refusal = reason


class _Isolation:
    """What separates the work for one caller from that for others, in a sink that keeps state by task."""

    begin: Callable[[], None] | None = None


def isolate_with(begin: Callable[[], None]) -> None:
    """Call this where the work for a caller begins."""
    _Isolation.begin = begin


def isolate() -> None:
    """From here on, this task and those it starts share nothing in a sink with the work for other callers."""
    if _Isolation.begin is not None:
        _Isolation.begin()


def enter(turn: Identified) -> None:
    """From here on, this task and those it starts work on that turn."""
    _current.set(turn)
    if request.get() is None:
        # Else the request has begun it already.
        isolate()


@contextmanager
def within(work: Identified) -> Iterator[None]:
    """Work on something until the block ends."""
    token = _current.set(work)
    isolate()
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Identified | None:
    """The turn this task works on, if any."""
    return _current.get()


@contextmanager
def for_somebody() -> Iterator[None]:
    """What is worked on until the block ends may be a caller's, though nobody knows whose."""
    token = _for_somebody.set(True)
    try:
        yield
    finally:
        _for_somebody.reset(token)


def for_a_caller() -> bool:
    """Whether this task works for a caller, so that an error which it meets may quote what they said."""
    return _current.get() is not None or request.get() is not None or _for_somebody.get()


def ids() -> Mapping[str, str]:
    """The ids of the current turn for a log line or a span; empty outside of one."""
    turn = _current.get()
    if turn is None:
        return {}
    found = {
        "conversation_id": turn.conversation_id,
        "session_id": turn.session_id,
        "turn_id": turn.turn_id,
        "agent": turn.agent,
    }
    if turn.trace_id:
        found["trace_id"], found["span_id"] = turn.trace_id, _span_id() or turn.span_id
    return found


def _span_id() -> str:
    """The id of the span that is open now: a tool's, say, below the turn's."""
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    return f"{context.span_id:016x}" if context.is_valid else ""
