"""Prepare events for Sentry: keep the error, the turn's ids and the user's own data, masked and without transcripts."""

from __future__ import annotations

from typing import Any

from sentry_sdk.types import Event, Hint

from . import context
from .errors import category_of
from .privacy import masking
from .privacy.masked_values import masked

IGNORED = (
    "CancelledError",
    "KeyboardInterrupt",
    "SystemExit",
    "DisconnectedError",
    "ClientDisconnect",
    "BrokenPipeError",
)
_SET_BY_USERS = ("contexts", "tags", "extra", "user", "breadcrumbs", "message", "transaction", "fingerprint")
"""The parts of an event that the user's code fills. They are masked before they are sent."""
OWN_RECORD = "layercode_message_only"
"""The attribute that our own handler sets on log records. The text of records without it is not sent."""
_NEVER = ("request", "modules")


def prepare(event: Event, hint: Hint) -> Event | None:
    """Return the masked event. Return None to drop an ignored error or a log line without an error."""
    error = hint["exc_info"][1] if hint.get("exc_info") else None
    if error is None and "log_record" in hint:
        return None
    if error is not None and any(base.__name__ in IGNORED for base in type(error).__mro__):
        return None
    if "log_record" in hint and not hasattr(hint["log_record"], OWN_RECORD):
        # If an agent file calls sentry_sdk.init(), Sentry's handler puts the values of local variables into the text.
        event.pop("logentry", None)
    # An attached file cannot be masked.
    hint["attachments"] = []
    _mask(event)
    event["tags"] = masked({**(event.get("tags") or {}), **_tags(error)})
    if trace_id := context.ids().get("trace_id"):
        event.setdefault("contexts", {})["trace"] = {"trace_id": trace_id, "span_id": context.ids().get("span_id", "")}
    return event


def prepare_breadcrumb(crumb: Any, hint: Any) -> Any:
    """Return a breadcrumb of the user's code. Drop breadcrumbs that an integration creates from log lines."""
    return None if "log_record" in hint else crumb


def prepare_metric(metric: Any, hint: Hint) -> Any:
    """Mask the attributes of a metric that the user's code counts with Sentry's SDK."""
    metric["attributes"] = masked(metric.get("attributes") or {})
    return metric


def drop(event: Any, hint: Hint) -> None:
    """Drop the event."""


def _mask(event: Event) -> None:
    parts: dict[str, Any] = event  # type: ignore[assignment]
    for name in _NEVER:
        parts.pop(name, None)
    for name in _SET_BY_USERS:
        if parts.get(name):
            parts[name] = masked(parts[name])
    if "logentry" in parts:
        parts["logentry"] = {"message": masking.clean(str(parts["logentry"].get("message", "")))}
    for value in (parts.get("exception") or {}).get("values", []):
        _clean_exception(value)


def _tags(error: BaseException | None) -> dict[str, str]:
    turn = context.current()
    tags = {} if error is None else {"error.category": category_of(error)}
    tags.update(context.ids())
    for name in ("kind", "impact", "fingerprint"):
        if value := getattr(turn, name, ""):
            tags[name] = str(value)
    event = getattr(turn, "event", None)
    if isinstance(event, dict) and event.get("type"):
        tags["event_type"] = str(event["type"])
    return tags


def _clean_exception(value: Any) -> None:
    value["value"] = masking.HIDDEN if masking.hides() else masking.clean(str(value.get("value") or ""))
    for frame in (value.get("stacktrace") or {}).get("frames", []):
        frame.pop("vars", None)
        if frame.get("context_line"):
            frame["context_line"] = masking.clean(frame["context_line"])
        for name in ("pre_context", "post_context"):
            if frame.get(name):
                frame[name] = [masking.clean(line) for line in frame[name]]
