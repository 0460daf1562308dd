"""Spans, through the OpenTelemetry API: one per turn, from its request to its last byte, and its stages below it.

Nothing is set up here. Where nobody has (`tracing.configure`, or the host of an embedded app), a turn's span does
nothing, and its stages have none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from .._version import __version__
from . import context, redaction

_tracer = trace.get_tracer("layercode_app", __version__)
_CONTEXT = TraceContextTextMapPropagator()
_NOTHING: AbstractContextManager[Span] = nullcontext(trace.INVALID_SPAN)
"""Shared by all that is not traced: a span that does nothing, made anew each time, would cost as much as the journal."""


class Traced(Protocol):
    """What is told which trace it belongs to."""

    trace_id: str
    span_id: str


def request(
    name: str,
    attributes: Callable[[], Mapping[str, AttributeValue]],
    *,
    received: float,
    verified: float | None = None,
) -> AbstractContextManager[Span]:
    """The span of one request, begun when it was received; `verified` is when its signature held. Monotonic seconds.

    `attributes` are asked for only where somebody traces.
    """
    if (asked := context.request.get()) is not None:
        asked.traced = True
    return _request(name, attributes(), received, verified) if _set_up() else _NOTHING


@contextmanager
def _request(
    name: str, attributes: Mapping[str, AttributeValue], received: float, verified: float | None
) -> Iterator[Span]:
    with _tracer.start_as_current_span(
        name,
        kind=SpanKind.SERVER,
        attributes=attributes,
        start_time=_epoch_ns(received),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        if verified is not None and span.is_recording():
            _tracer.start_span("verify", attributes=attributes, start_time=_epoch_ns(received)).end(_epoch_ns(verified))
        yield span


@contextmanager
def answered(asked: context.Request) -> Iterator[None]:
    """The span of a request that is no event of the platform's, with its answer's status."""
    attributes = {"http.request.method": asked.method, "url.path": asked.path}
    with request(f"{asked.method} {asked.path}", lambda: attributes, received=asked.started) as open_span:
        try:
            yield
        finally:
            _describe_answer(open_span, asked)


def refused(asked: context.Request) -> None:
    """A span for a request that had none while it was answered, because it was refused."""
    if not _set_up():
        return
    attributes = {"http.request.method": asked.method, "url.path": asked.path}
    begun = _epoch_ns(asked.started)
    # One name for each status, and not one for each path: there is no end to what is asked for.
    late = _tracer.start_span(f"refused {asked.status}", kind=SpanKind.SERVER, attributes=attributes, start_time=begun)
    _describe_answer(late, asked)
    late.end()


def _describe_answer(open_span: Span, asked: context.Request) -> None:
    """Its status, and why it was refused. Only from 500 on it is an error of ours."""
    if asked.status is None:
        return
    open_span.set_attribute("http.response.status_code", asked.status)
    if asked.status >= 400:
        open_span.set_attributes({"error.type": str(asked.status), "layercode.refusal": asked.refusal})
    if asked.status >= 500:
        open_span.set_status(Status(StatusCode.ERROR))


# To ask for the provider is to search the environment each time, which costs a turn as much as its log line does. So its
# own variable is looked at before, where there is one of that name.
_traced = False


def _set_up() -> bool:
    """Whether somebody has set tracing up: we, or the host of an embedded app. Once it is, it stays."""
    global _traced
    if not _traced and getattr(trace, "_TRACER_PROVIDER", _tracer) is not None:
        _traced = not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    return _traced


def span(name: str, attributes: Mapping[str, AttributeValue] | None = None) -> AbstractContextManager[Span]:
    """A stage of the current turn; without a turn that is recorded it costs nothing."""
    return _span(name, attributes) if recording() else _NOTHING


@contextmanager
def _span(
    name: str, attributes: Mapping[str, AttributeValue] | None = None, within: Context | None = None
) -> Iterator[Span]:
    """A span below the current one, or in the context given; an error that leaves it marks it as failed."""
    with _tracer.start_as_current_span(
        name, context=within, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as inner:
        try:
            yield inner
        except Exception as error:
            failed(error, type(error).__name__)
            raise


def stamp(record: Traced) -> None:
    """Write the ids of the current span into a record, so that logs, journal and errors lead to the trace."""
    if not _set_up():
        return
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        record.trace_id, record.span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"


def annotate(attributes: Mapping[str, AttributeValue]) -> None:
    """Set attributes on the current span."""
    trace.get_current_span().set_attributes(attributes)


def recording() -> bool:
    """Whether the current span goes anywhere; each turn looks anew, when it is stamped, whether any does."""
    return _traced and trace.get_current_span().is_recording()


def failed(error: BaseException, category: str) -> None:
    """Mark the current span as failed; what the error quotes is kept out."""
    current = trace.get_current_span()
    if not current.is_recording():
        return
    current.set_status(Status(StatusCode.ERROR, category))
    current.add_event(
        "exception",
        {
            "exception.type": f"{type(error).__module__}.{type(error).__qualname__}",
            "exception.message": redaction.message_of(error),
            "exception.stacktrace": redaction.describe(error),
        },
    )


def carrier() -> dict[str, str]:
    """The current trace as headers, to go on with later, perhaps in another process; empty outside of one."""
    found: dict[str, str] = {}
    _CONTEXT.inject(found)
    return found


def continued(name: str, found: Mapping[str, str]) -> AbstractContextManager[Span]:
    """A span of work that was owed by another trace, as a child of it, whatever is current here."""
    # No turn may have looked yet whether anybody traces: a worker begins with what is owed.
    _set_up()
    return _span(name, within=_CONTEXT.extract(found, Context()))


@contextmanager
def upkeep() -> Iterator[None]:
    """Work that comes round every second, also of tasks begun here: what it asks of a database has no span."""
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    token = attach(Context())
    try:
        with suppress_instrumentation():
            yield
    finally:
        detach(token)


def _epoch_ns(moment: float) -> int:
    return time.time_ns() - int((time.perf_counter() - moment) * 1e9)
