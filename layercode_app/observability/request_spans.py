"""Record a span for every request, refused or not, from its receipt to the last byte of the response."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from . import context
from .spans import NOTHING, Opened, set_up, tracer


def request(
    name: str,
    attributes: Callable[[], Mapping[str, AttributeValue]],
    *,
    received: float,
    verified: float | None = None,
) -> AbstractContextManager[Span]:
    """Open the span of a request.

    `received` is the time when the span starts, `verified` the time when the signature was checked, both in seconds of
    `time.perf_counter`. `attributes` is called only if tracing is set up.
    """
    if (asked := context.request.get()) is not None:
        asked.traced = True
    return _request(name, attributes(), received, verified, asked) if set_up() else NOTHING


class _Answered(Opened):
    """The span of a request. When it ends, it gets the status of the response."""

    __slots__ = ("_asked",)

    def __init__(self, opened: Span, asked: context.Request | None) -> None:
        super().__init__(opened)
        self._asked = asked

    def __exit__(self, *raised: Any) -> None:
        if self._asked is not None and self._asked.status is not None:
            self._span.set_attribute("http.response.status_code", self._asked.status)
        super().__exit__(*raised)


def _request(
    name: str,
    attributes: Mapping[str, AttributeValue],
    received: float,
    verified: float | None,
    asked: context.Request | None,
) -> AbstractContextManager[Span]:
    begun = _epoch_ns(received)
    described = {**attributes, **_described(asked)}
    opened = tracer.start_span(name, kind=SpanKind.SERVER, attributes=described, start_time=begun)
    current = _Answered(opened, asked)
    if verified is not None and opened.is_recording():
        verify = tracer.start_span("verify", current.context, attributes=attributes, start_time=begun)
        verify.end(_epoch_ns(verified))
    return current


def _described(asked: context.Request | None) -> Mapping[str, AttributeValue]:
    """Return the method and route of the request as attributes; empty without a request."""
    return {} if asked is None else {"http.request.method": asked.method, "http.route": asked.path}


@contextmanager
def answered(asked: context.Request) -> Iterator[None]:
    """Open the span of a request that is not a platform event, and set the status of the response on it."""
    attributes = {"http.request.method": asked.method, "url.path": asked.path}
    with request(f"{asked.method} {asked.path}", lambda: attributes, received=asked.started) as open_span:
        try:
            yield
        finally:
            _describe_answer(open_span, asked)


def refused(asked: context.Request) -> None:
    """Record a span for a refused request after it was answered, because no span was open until then."""
    if not set_up():
        return
    attributes = {"http.request.method": asked.method, "url.path": asked.path}
    begun = _epoch_ns(asked.started)
    # Name the span by its status, because the number of requested paths is unlimited.
    late = tracer.start_span(f"refused {asked.status}", kind=SpanKind.SERVER, attributes=attributes, start_time=begun)
    _describe_answer(late, asked)
    late.end()


def _describe_answer(open_span: Span, asked: context.Request) -> None:
    """Set the status and the refusal on the span. Only statuses of 500 and above are marked as errors."""
    if asked.status is None:
        return
    open_span.set_attribute("http.response.status_code", asked.status)
    if asked.status >= 400:
        open_span.set_attributes({"error.type": str(asked.status), "layercode.refusal": asked.refusal})
    if asked.status >= 500:
        open_span.set_status(Status(StatusCode.ERROR))


def _epoch_ns(moment: float) -> int:
    return time.time_ns() - int((time.perf_counter() - moment) * 1e9)
