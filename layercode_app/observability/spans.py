"""Open the spans of a turn's stages, as children of the span of its request (see `request_spans`).

Tracing is set up by `tracing.Tracing`, or by the host of an embedded app. Without tracing there are no spans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Protocol

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from .._compat.opentelemetry import provider_may_be_set
from .._version import __version__
from .privacy import masking

tracer = trace.get_tracer("layercode_app", __version__)
_CONTEXT = TraceContextTextMapPropagator()
NOTHING: AbstractContextManager[Span] = nullcontext(trace.INVALID_SPAN)
"""The no-op span for all work that is not traced. To create one for each stage would cost as much as the journal."""


class Traced(Protocol):
    """A record with the ids of its trace and span."""

    trace_id: str
    span_id: str


class Opened:
    """A context manager that makes a span current, and ends it. It is faster than OpenTelemetry's nested generators.

    If `stage` is true, an error in the block marks the span as failed.
    """

    __slots__ = ("_span", "_stage", "_token", "context")

    def __init__(self, opened: Span, within: Context | None = None, *, stage: bool = False) -> None:
        self._span = opened
        self._stage = stage
        self.context = trace.set_span_in_context(opened, within)

    def __enter__(self) -> Span:
        self._token = attach(self.context)
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Mark only the span of a stage here. The span of a request is marked where the request is answered.
        if self._stage and isinstance(error, Exception):
            failed(error, type(error).__name__)
        detach(self._token)
        self._span.end()


_traced = False


def set_up() -> bool:
    """Return whether tracing is set up, by us or by the host of an embedded app. Once True, the result stays True."""
    global _traced
    # Getting the provider searches the environment each time, which costs as much as a turn's log line.
    if not _traced and provider_may_be_set():
        _traced = not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    return _traced


def span(name: str, attributes: Mapping[str, AttributeValue] | None = None) -> AbstractContextManager[Span]:
    """Open the span of a stage of the current turn, as a child of the current span.

    Do nothing if the current span is not recorded. If the current span has already ended, as in background work that
    outlasts its turn, open the child if the current span was recorded before its end.
    """
    return _span(name, attributes) if recording() or _sampled() else NOTHING


def _span(
    name: str, attributes: Mapping[str, AttributeValue] | None = None, within: Context | None = None
) -> AbstractContextManager[Span]:
    """Open a child of the current span, or of the span in the context `within`."""
    return Opened(tracer.start_span(name, within, attributes=attributes), within, stage=True)


def stamp(record: Traced) -> None:
    """Write the ids of the current span into a record, so that logs, journal and error reports link to the trace."""
    if not set_up():
        return
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        record.trace_id, record.span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"


def annotate(attributes: Mapping[str, AttributeValue]) -> None:
    """Set attributes on the current span."""
    trace.get_current_span().set_attributes(attributes)


def event(name: str, attributes: Mapping[str, AttributeValue]) -> None:
    """Add an event to the current span."""
    trace.get_current_span().add_event(name, attributes)


def recording() -> bool:
    """Return whether the current span is recorded; False until `stamp` has found that tracing is set up."""
    return _traced and trace.get_current_span().is_recording()


def _sampled() -> bool:
    """Return whether the current span is recorded, or was recorded before it ended."""
    return _traced and trace.get_current_span().get_span_context().trace_flags.sampled


def failed(error: BaseException, category: str) -> None:
    """Mark the current span as failed. The error's text is masked, because it may quote the caller."""
    current = trace.get_current_span()
    if not current.is_recording():
        return
    current.set_status(Status(StatusCode.ERROR, category))
    current.add_event(
        "exception",
        {
            "exception.type": f"{type(error).__module__}.{type(error).__qualname__}",
            "exception.message": masking.message_of(error),
            "exception.stacktrace": masking.describe(error),
        },
    )


def carrier() -> dict[str, str]:
    """Return headers to continue the current trace later or in another process; empty outside of a trace."""
    found: dict[str, str] = {}
    _CONTEXT.inject(found)
    return found


def continued(name: str, found: Mapping[str, str]) -> AbstractContextManager[Span]:
    """Open a span for a job, as a child of the span in which the job was enqueued.

    `found` holds the headers that `carrier` returned at that time.
    """
    # Check here whether tracing is set up: a worker may run pending jobs before its first turn checks this.
    set_up()
    return _span(name, within=_CONTEXT.extract(found, Context()))


@contextmanager
def upkeep() -> Iterator[None]:
    """Suppress the spans of database calls in the block and in tasks that it starts. Periodic work uses this."""
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    token = attach(Context())
    try:
        with suppress_instrumentation():
            yield
    finally:
        detach(token)
