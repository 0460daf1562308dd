"""Hold the ids of the turn that the current task works on. They are set once and read by every sink."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol


class Identified(Protocol):
    """An object that carries a turn's ids."""

    conversation_id: str
    session_id: str
    turn_id: str
    agent: str
    trace_id: str
    span_id: str


@dataclass(slots=True)
class Ids:
    """The ids of work that is not a turn, such as a job."""

    agent: str
    conversation_id: str = ""
    session_id: str = ""
    turn_id: str = ""
    trace_id: str = ""
    span_id: str = ""


@dataclass(slots=True)
class Request:
    """The HTTP request that the current task answers. `headers` holds only headers that may be logged."""

    method: str
    path: str
    started: float
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None
    logged: bool = False
    """True once a log line with the request's figures was written."""
    traced: bool = False
    """True once the request has a span."""
    refusal: str = ""
    """Why the request was refused; empty if it was not. The text quotes nothing that the client sent."""


request: ContextVar[Request | None] = ContextVar("layercode_request", default=None)
_current: ContextVar[Identified | None] = ContextVar("layercode_turn", default=None)
_for_reader: ContextVar[bool] = ContextVar("layercode_for_somebody", default=False)


_ours: ContextVar[bool] = ContextVar("layercode_ours", default=False)


def mark() -> None:
    """Mark the current context. Each context that is copied from it later is marked as well; see `is_marked`."""
    _ours.set(True)


def is_marked() -> bool:
    """Return whether the current context was marked by `mark`, or is a copy of a marked context.

    In a new thread, return False, because its context is empty. The same holds for work that a thread pool runs without
    a copy of the context.
    """
    return _ours.get()


def refuse(reason: str) -> None:
    """Record why the current request is refused. The reason must not quote what the client sent."""
    if (asked := request.get()) is not None:
        asked.refusal = reason


class _Isolation:
    """Holds a function that separates the data of callers in a sink such as Sentry. `isolate` calls this function."""

    begin: Callable[[], None] | None = None


def isolate_with(begin: Callable[[], None]) -> None:
    """Set a function that separates the data of callers in a sink such as Sentry. `isolate` calls this function."""
    _Isolation.begin = begin


def isolate() -> None:
    """Give this task and its subtasks separate data in sinks such as Sentry, so that callers' data is not mixed."""
    if _Isolation.begin is not None:
        _Isolation.begin()


def enter(turn: Identified) -> None:
    """Set the turn on which this task works. Tasks that this task starts later work on the same turn."""
    _current.set(turn)
    if request.get() is None:
        # Within a request, the task is already isolated.
        isolate()


@contextmanager
def within(work: Identified) -> Iterator[None]:
    """Set the turn or job on which this task works, for the duration of the block."""
    token = _current.set(work)
    isolate()
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Identified | None:
    """Return the turn or job on which this task works, or None."""
    return _current.get()


@contextmanager
def for_reader() -> Iterator[None]:
    """Hide the messages of errors that are logged in this block, because they may quote a caller."""
    token = _for_reader.set(True)
    try:
        yield
    finally:
        _for_reader.reset(token)


def for_a_caller() -> bool:
    """Return whether this task works for a caller. If so, the text of its errors may contain what the caller said."""
    return _current.get() is not None or request.get() is not None or _for_reader.get()


def ids() -> Mapping[str, str]:
    """Return the ids of the current turn or job for a log line or a span; empty outside of both."""
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
    """Return the id of the current span, which may be a tool's span within the turn; "" if there is none."""
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    return f"{context.span_id:016x}" if context.is_valid else ""
