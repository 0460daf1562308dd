"""Process every span once for all sinks: add ids, redact it, and sample traces when they are complete."""

from __future__ import annotations

import random
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import Link, Status, StatusCode

from .._compat.opentelemetry import plain
from . import context
from .errors import CATEGORIES
from .privacy import masking, patterns
from .privacy.caller_secrets import is_secret_name
from .privacy.masked_values import is_secret_number

MOST_TRACES = 1000
"""Maximum traces that wait for their sampling decision. If there are more, the oldest trace is sent."""
URL_KEYS = ("url.full", "http.url", "http.target")
STATEMENT_KEYS = ("db.statement", "db.query.text")
OWN_KEYS = ("layercode.", "gen_ai.agent.", "gen_ai.operation.", "gen_ai.usage.", "gen_ai.token.", "logfire.json_schema")
"""Prefixes of attributes that hold only figures or names. They need no redaction."""
ID_KEYS = ("layercode.turn.id", "layercode.session.id")
"""Ids that are redacted although OWN_KEYS covers them. The platform chooses them, but a client may send any text."""
CONTENT_KEYS = frozenset(
    (
        "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result", "gen_ai.prompt", "gen_ai.completion", "gen_ai.event.content", "tool_arguments",
        "tool_response", "final_result", "pydantic_ai.all_messages", "all_messages_events", "events", "request_data",
        "response_data", "http.request.body.text", "http.response.body.text", "exception.logfire.data", "errors",
        "input_data", "fastapi.arguments.values", "fastapi.arguments.errors",
    )
)  # fmt: skip
"""Attributes that contain transcripts. They are set by our instrumentation, or by instrumentation in an agent file.

Logfire sets the last five. They contain transcripts because Pydantic's validation errors quote the invalid value.
"""
CONTENT_PREFIXES = (
    "gen_ai.prompt.", "gen_ai.completion.", "traceloop.entity.input", "traceloop.entity.output", "input.value",
    "output.value", "llm.input_messages.", "llm.output_messages.", "llm.prompts.", "llm.completions.",
    "message.content", "retrieval.documents.", "tool.parameters", "tool_call.function.arguments", "ai.prompt",
    "ai.response.text", "ai.toolCall.args", "ai.toolCall.result", "langfuse.observation.input",
    "langfuse.observation.output", "url.query", "db.query.parameter.", "db.statement.parameters",
)  # fmt: skip
"""Prefixes of the attributes in which other libraries (OpenLLMetry, OpenInference and the like) put transcripts.

The last three hold the values in the query of a URL and the parameters of an SQL statement. These values are also
removed from the text of the URL and of the statement.
"""
MESSAGE_KEY = "exception.message"
STACK_KEY = "exception.stacktrace"
TYPE_KEYS = ("exception.type", "error.type")
_USUAL = frozenset(("own", "text"))
_NUMBERS = frozenset((bool, int, float, type(None)))
_TEXT = frozenset((str,))
"""If all attributes are numbers or texts, the texts are joined and checked together, which is faster."""
_LITERAL = re.compile(
    r"""(?P<name>(?:\b(?:SELECT|DISTINCT|FROM|JOIN|INTO|UPDATE|TABLE|BY|AS)\s+|\.)"[^"]*"|"[^"]*"(?=\s*[.=<>]))
    |--[^\n]*|/\*.*?(?:\*/|\Z)
    |'(?:[^']|'')*\\'.*\Z|'(?:[^']|'')*(?:'|\Z)
    |"[^"]*\\".*\Z|"[^"]*(?:"|\Z)
    |\$(\w*)\$.*?(?:\$\2\$|\Z)""",
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
"""Matches comments, literals and quoted names in an SQL statement. Comments and literals may contain the caller's text.

In MySQL and SQLite, double quotes can also enclose a literal. So text in double quotes counts as a name only where SQL
expects a name. Only some databases let a backslash escape a quote. So if a backslash stands before a quote, the literal
is assumed to continue to the end of the statement.
"""
_ERROR_TYPE = re.compile(r"[\w.]*(?:Error|Exception)")
_STACK_LINE = re.compile(r'^(Traceback \(most recent call last\):| +File ".*", line \d+.*)$')


class Pipeline(SpanProcessor):
    """Passes spans to the processors of the sinks.

    `rate` is the share of traces to send. If it is under 1, spans wait until the root span of their trace has ended. A
    trace whose root span failed or took more than `slow` seconds is always sent.
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
        """Redact a span. Send it at once, or, if `rate` is under 1, hold it until the decision whether its trace is sent.

        A span that OpenTelemetry did not sample is ignored.
        """
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
            # The trace was already kept or dropped: its turn has ended, or too many traces were waiting.
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

    Transcripts are removed too, unless LAYERCODE_CAPTURE_CONTENT is true. The span itself is returned if its name and
    attributes are clean and it has no events, links or status description.
    """
    attributes = span.attributes or {}
    cleaned = clean_attributes(attributes, span.name)
    if cleaned is attributes and not span.events and not span.links and not span.status.description:
        return span
    return ReadableSpan(
        name=masking.clean(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=cleaned,
        events=[_clean_event(event) for event in span.events],
        links=[Link(link.context, clean_attributes(link.attributes or {})) for link in span.links],
        kind=span.kind,
        status=_clean_status(span),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def clean_attributes(attributes: Mapping[str, Any], name: str = "") -> Mapping[str, Any]:
    """Return the redacted attributes of a span, an event or a metric.

    Return the same object if neither the attributes nor `name`, the span's name, need to be redacted.
    """
    copied = plain(attributes)
    texts = {key: value for key, value in copied.items() if type(value) not in _NUMBERS}
    usual = "odd" not in map(kind_of, copied) and _USUAL.issuperset(map(kind_of, texts))
    usual = usual and not any(kind_of(key) == "secret" and is_secret_number(copied[key], key) for key in copied)
    if usual and _TEXT.issuperset(map(type, texts.values())):
        joined = "\n".join((name, *[value for key, value in texts.items() if kind_of(key) == "text"]))
        if masking.clean(joined) == joined:
            return attributes
    hides = not masking.capture_content()
    return {
        masking.clean_key(key): _clean_value(key, value)
        for key, value in copied.items()
        if not (hides and kind_of(key) == "content" and type(value) not in _NUMBERS)
    }


@lru_cache(maxsize=4096)
def kind_of(key: str) -> Literal["own", "content", "error", "secret", "odd", "url", "statement", "text"]:
    """Return how an attribute with this key is redacted.

    "own" values need no redaction, "content" is a transcript, and "error" may quote the caller. A "secret" is masked
    whole. A "url" loses its query, and a "statement" its literals. An "odd" key itself contains a secret or a phone
    number. All other values are "text".
    """
    if key.startswith(OWN_KEYS) and key not in ID_KEYS:
        return "own"
    if key in CONTENT_KEYS or key.startswith(CONTENT_PREFIXES):
        return "content"
    if key in (MESSAGE_KEY, STACK_KEY):
        return "error"
    if key in URL_KEYS:
        return "url"
    if key in STATEMENT_KEYS:
        return "statement"
    if is_secret_name(key):
        return "secret"
    return "text" if patterns.looks_clean(key) else "odd"


def _clean_value(key: str, value: Any) -> Any:
    kind = kind_of(key)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(_clean_value(key, part) for part in value)
    if isinstance(value, Mapping):
        return {masking.clean_key(name): _clean_value(name, part) for name, part in value.items()}
    if isinstance(value, bytes):
        text = value.decode(errors="replace")
        return value if masking.clean(text) == text else masking.clean(text).encode()
    if not isinstance(value, str):
        return masking.MASK if kind == "secret" and is_secret_number(value, key) else value
    if kind == "secret":
        return masking.MASK
    if kind == "error" and not masking.capture_content():
        return masking.HIDDEN if key == MESSAGE_KEY else _without_messages(masking.clean(value))
    if kind == "url":
        value = value.partition("?")[0]
    elif kind == "statement" and not masking.capture_content():
        value = _LITERAL.sub(lambda found: found["name"] or "?", value)
    return masking.clean(value)


def _clean_event(event: Event) -> Event:
    attributes = dict(clean_attributes(event.attributes or {}))
    if not masking.capture_content():
        # Some instrumentation libraries record a message as an event, with the text in `content`.
        attributes.pop("content", None)
    return Event(masking.clean(event.name), attributes, event.timestamp)


def _without_messages(stack: str) -> str:
    """Return only the lines of a traceback that name a file and a line."""
    return "\n".join(line for line in stack.split("\n") if _STACK_LINE.match(line))


def _clean_status(span: ReadableSpan) -> Status:
    """Reduce a status description, which may be an error's message, to the category or type at its beginning."""
    status = span.status
    if not status.description:
        return status
    if masking.capture_content():
        return Status(status.status_code, masking.clean(status.description))
    kind = status.description.partition(":")[0]
    known = kind in CATEGORIES or kind in _error_types(span) or _ERROR_TYPE.fullmatch(kind)
    return Status(status.status_code, masking.clean(kind) if known else None)


def _error_types(span: ReadableSpan) -> set[str]:
    """Return the names of the errors that the span recorded, with and without their modules."""
    recorded = [span.attributes or {}, *(event.attributes or {} for event in span.events)]
    names = {str(attributes[key]) for attributes in recorded for key in TYPE_KEYS if key in attributes}
    return names | {name.rpartition(".")[2] for name in names}
