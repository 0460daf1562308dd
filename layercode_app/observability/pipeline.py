"""Process every span once for all sinks: add ids, redact it, and sample traces when they are complete."""

from __future__ import annotations

import random
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import Status, StatusCode

from .._compat.opentelemetry import plain
from . import context
from .privacy import masking
from .privacy.caller_secrets import is_secret_name

MOST_TRACES = 1000
"""Maximum traces that wait for their sampling decision. If there are more, the oldest trace is sent."""
URL_KEYS = ("url.full", "http.url", "http.target")
STATEMENT_KEYS = ("db.statement", "db.query.text")
OWN_KEYS = ("layercode.", "gen_ai.conversation.id", "gen_ai.agent.", "gen_ai.operation.", "logfire.json_schema")
"""Prefixes of attributes that hold only ids, figures or names. They need no redaction."""
CONTENT_KEYS = frozenset(
    (
        "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result", "gen_ai.prompt", "gen_ai.completion", "gen_ai.event.content", "tool_arguments",
        "tool_response", "final_result", "pydantic_ai.all_messages", "all_messages_events", "events", "request_data",
        "response_data", "http.request.body.text", "http.response.body.text",
    )
)  # fmt: skip
"""Attributes that contain transcripts. They are set by our instrumentation, or by instrumentation in an agent file."""
_SPECIAL = frozenset((*URL_KEYS, *STATEMENT_KEYS))
_SIMPLE = frozenset((str, bool, int, float, type(None)))
"""If all attributes have one of these types, their texts are joined and checked together, which is faster."""
_LITERAL = re.compile(r"'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", re.DOTALL)
"""Matches a literal in an SQL statement. A value that is not passed as a parameter may be the caller's text."""
_STACK_LINE = re.compile(r'^(Traceback \(most recent call last\):| +File ".*", line \d+.*)$')


class Pipeline(SpanProcessor):
    """Passes spans to the processors of the sinks.

    `rate` is the share of traces to send. If it is under 1, spans wait until the root span of their trace has ended;
    traces that failed or took over `slow` seconds are always sent.
    """

    def __init__(self, sinks: Sequence[SpanProcessor], *, rate: float = 1.0, slow: float = 2.0) -> None:
        self._sinks = tuple(sinks)
        self._rate = rate
        self._slow = slow
        self._waiting: OrderedDict[int, list[ReadableSpan]] = OrderedDict()
        self._verdicts: OrderedDict[int, bool] = OrderedDict()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Set the ids of the current turn on a child span, such as a span of a tool or of the user's code."""
        turn = context.current()
        if turn is not None and span.parent is not None:
            span.set_attributes({"gen_ai.conversation.id": turn.conversation_id, "layercode.turn.id": turn.turn_id})

    def on_end(self, span: ReadableSpan) -> None:
        """Redact the span. Then send it, or keep it until the sampling decision on its trace."""
        if not span.context.trace_flags.sampled:
            return
        cleaned = clean_span(span)
        if self._rate >= 1:
            self._send(cleaned)
        else:
            self._sample(cleaned)

    def _send(self, span: ReadableSpan) -> None:
        for sink in self._sinks:
            sink.on_end(span)

    # --- tail sampling

    def _sample(self, span: ReadableSpan) -> None:
        trace_id = span.context.trace_id
        if (verdict := self._verdicts.get(trace_id)) is not None:
            # The trace is already decided on: this work outlived its turn.
            if verdict:
                self._send(span)
            return
        self._waiting.setdefault(trace_id, []).append(span)
        if span.parent is None or span.parent.is_remote:
            self._decide(trace_id, keep=self._is_worth_it(span))
        elif len(self._waiting) > MOST_TRACES:
            self._decide(next(iter(self._waiting)), keep=True)

    def _is_worth_it(self, root: ReadableSpan) -> bool:
        if root.status.status_code is StatusCode.ERROR:
            return True
        if ((root.end_time or 0) - (root.start_time or 0)) / 1e9 > self._slow:
            return True
        return random.random() < self._rate  # noqa: S311 - a sample, not a secret

    def _decide(self, trace_id: int, *, keep: bool) -> None:
        self._verdicts[trace_id] = keep
        if len(self._verdicts) > MOST_TRACES:
            self._verdicts.popitem(last=False)
        for span in self._waiting.pop(trace_id, ()):
            if keep:
                self._send(span)

    def shutdown(self) -> None:
        """Do nothing: `Tracing.close` closes the sinks, with a timeout."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the sinks, but not the spans that wait for a sampling decision."""
        return all(sink.force_flush(timeout_millis) for sink in self._sinks)


# --- redaction


def clean_span(span: ReadableSpan) -> ReadableSpan:
    """Return a copy of a span in which secrets and phone numbers are masked.

    Transcripts are removed too, unless LAYERCODE_CAPTURE_CONTENT is true. The span itself is returned if its attributes
    are clean and it has no events and no status description.
    """
    attributes = span.attributes or {}
    cleaned = _clean_attributes(attributes)
    if cleaned is attributes and not span.events and not span.status.description:
        return span
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=cleaned,
        events=[_clean_event(event) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=_clean_status(span.status),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _clean_attributes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the redacted attributes; return the same object if there is nothing to redact."""
    copied = plain(attributes)
    if not CONTENT_KEYS.isdisjoint(copied) and not masking.capture_content():
        return {key: _clean_value(key, value) for key, value in copied.items() if key not in CONTENT_KEYS}
    kinds = {type(value) for value in copied.values()}
    if kinds <= _SIMPLE and _SPECIAL.isdisjoint(copied):
        joined = "\n".join(
            [value for key, value in copied.items() if type(value) is str and not key.startswith(OWN_KEYS)]
        )
        if not joined or masking.clean(joined) == joined:
            return attributes
    return {key: _clean_value(key, value) for key, value in copied.items()}


def _clean_value(key: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_clean_value(key, part) for part in value)
    if isinstance(value, Mapping):
        return {name: _clean_member(name, part) for name, part in value.items()}
    if not isinstance(value, str):
        return value
    if key in URL_KEYS:
        value = value.partition("?")[0]
    elif key in STATEMENT_KEYS and not masking.capture_content():
        value = _LITERAL.sub("?", value)
    return masking.clean(value)


def _clean_member(name: str, value: Any) -> Any:
    """Redact one item of an attribute that is a mapping. A text is masked whole if the item is named like a secret."""
    hidden = isinstance(value, str) and is_secret_name(name)
    return masking.MASK if hidden else _clean_value(name, value)


def _clean_event(event: Event) -> Event:
    attributes = {key: _clean_value(key, value) for key, value in (event.attributes or {}).items()}
    if not masking.capture_content():
        attributes = {key: value for key, value in attributes.items() if key not in CONTENT_KEYS}
        if "exception.message" in attributes:
            attributes["exception.message"] = masking.HIDDEN
        if "exception.stacktrace" in attributes:
            attributes["exception.stacktrace"] = _without_messages(str(attributes["exception.stacktrace"]))
    return Event(event.name, attributes, event.timestamp)


def _without_messages(stack: str) -> str:
    """Return only the lines of a traceback that name a file and a line."""
    return "\n".join(line for line in stack.split("\n") if _STACK_LINE.match(line))


def _clean_status(status: Status) -> Status:
    """Reduce a status description, which may be an error's message, to the category or type at its beginning."""
    if not status.description:
        return status
    if masking.capture_content():
        return Status(status.status_code, masking.clean(status.description))
    kind = status.description.partition(":")[0]
    return Status(status.status_code, kind if kind.replace("_", "").replace(".", "").isalnum() else None)
