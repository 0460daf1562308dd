"""In a debug run, print the spans of a turn as a tree on the console."""

from __future__ import annotations

from collections import OrderedDict

from loguru import logger
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import StatusCode

MOST_TRACES = 100


class SpanTree(SpanProcessor):
    """Prints a trace when its root span has ended."""

    def __init__(self) -> None:
        self._spans: OrderedDict[int, list[ReadableSpan]] = OrderedDict()

    def on_end(self, span: ReadableSpan) -> None:
        """Store the span. If it is the root span, print the trace."""
        self._spans.setdefault(span.context.trace_id, []).append(span)
        if span.parent is None:
            found = self._spans.pop(span.context.trace_id)
            logger.opt(raw=False).debug("{}", "\n".join(tree(found)))
        elif len(self._spans) > MOST_TRACES:
            self._spans.popitem(last=False)


def tree(spans: list[ReadableSpan]) -> list[str]:
    """Return one line per span, below its parent, with its start and duration in milliseconds."""
    children: dict[int | None, list[ReadableSpan]] = {}
    known = {span.context.span_id for span in spans}
    for span in sorted(spans, key=lambda one: one.start_time or 0):
        parent = span.parent.span_id if span.parent and span.parent.span_id in known else None
        children.setdefault(parent, []).append(span)
    start = min((span.start_time or 0) for span in spans)
    lines = [f"{len(spans)} spans of trace {spans[-1].context.trace_id:032x}"]

    def add(parent: int | None, indent: str) -> None:
        for span in children.get(parent, ()):
            lines.append(f"{indent}{_line(span, start)}")
            add(span.context.span_id, indent + "  ")

    add(None, "  ")
    return lines


def _line(span: ReadableSpan, start: int) -> str:
    began, ended = span.start_time or start, span.end_time or start
    failed = "  FAILED" if span.status.status_code is StatusCode.ERROR else ""
    return f"{span.name}  {(began - start) / 1e6:.1f} ms + {(ended - began) / 1e6:.1f} ms{failed}"
