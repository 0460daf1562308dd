"""Sentry: errors with a traceback, once, with ids, agent and category; never content, bodies, locals or cancellations."""

from __future__ import annotations

from typing import Any

import sentry_sdk
from loguru import logger
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.loguru import LoguruIntegration
from sentry_sdk.integrations.starlette import StarletteIntegration
from sentry_sdk.transport import HttpTransport
from sentry_sdk.types import Event, Hint

from ..settings import Settings, environment, service_version
from . import context, redaction
from .errors import category_of
from .outages import Outage

CLOSE_SECONDS = 1.0
IGNORED = (
    "CancelledError",
    "KeyboardInterrupt",
    "SystemExit",
    "DisconnectedError",
    "ClientDisconnect",
    "BrokenPipeError",
)
_outage = Outage("Sentry")


class _Transport(HttpTransport):
    """Sentry's own, with a short timeout, that says once when it fails."""

    TIMEOUT = 2

    def on_dropped_event(self, _reason: str) -> None:
        _outage.failed(_reason.replace("_", " "))

    def _handle_response(self, response: Any, envelope: Any) -> None:
        super()._handle_response(response, envelope)
        if 200 <= response.status < 300:
            _outage.worked()


def configure(settings: Settings) -> None:
    """Begin to report. After the logs are configured, because Sentry listens to them."""
    assert settings.sentry_dsn is not None
    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        environment=settings.app_env,
        release=_release(settings),
        server_name=settings.service_name,
        transport=_Transport,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            DedupeIntegration(),
            ExcepthookIntegration(),
            StarletteIntegration(),
            LoguruIntegration(level=None, event_format=_title, sentry_logs_level=None),
        ],
        traces_sample_rate=None,
        trace_propagation_targets=[],
        auto_session_tracking=False,
        send_client_reports=False,
        max_breadcrumbs=0,
        max_request_body_size="never",
        send_default_pii=False,
        include_local_variables=False,
        data_collection={
            "user_info": False,
            "http_bodies": [],
            "stack_frame_variables": False,
        },
        before_send=_prepare,
        shutdown_timeout=0,
    )


def _release(settings: Settings) -> str | None:
    """The user's release: SENTRY_RELEASE, else the service and its version; None leaves the look-up to Sentry."""
    if release := environment().get("SENTRY_RELEASE"):
        return release
    version = service_version(settings)
    return f"{settings.service_name}@{version}" if version else None


def _title(record: Any) -> str:
    return "{message}"


def _prepare(event: Event, hint: Hint) -> Event | None:
    """Let an error through, with its ids and without what it may quote; what is no error stays in the logs."""
    error = hint["exc_info"][1] if hint.get("exc_info") else None
    if error is None or any(base.__name__ in IGNORED for base in type(error).__mro__):
        return None
    event["tags"] = {**(event.get("tags") or {}), **_tags(error)}
    if trace_id := context.ids().get("trace_id"):
        event.setdefault("contexts", {})["trace"] = _trace(trace_id)
    for name in ("extra", "breadcrumbs", "user", "request", "modules"):
        event.pop(name, None)  # type: ignore[misc]
    if "logentry" in event:
        event["logentry"] = {"message": redaction.clean(str(event["logentry"].get("message", "")))}
    for value in event.get("exception", {}).get("values", []):
        _clean_exception(value)
    return event


def _tags(error: BaseException) -> dict[str, str]:
    turn = context.current()
    tags = {"error.category": category_of(error), **context.ids()}
    for name in ("kind", "impact", "fingerprint"):
        if value := getattr(turn, name, ""):
            tags[name] = str(value)
    event = getattr(turn, "event", None)
    if isinstance(event, dict) and event.get("type"):
        tags["event_type"] = str(event["type"])
    return tags


def _trace(trace_id: str) -> dict[str, object]:
    """Leads from the error to the turn's trace."""
    return {"trace_id": trace_id, "span_id": context.ids().get("span_id", "")}


def _clean_exception(value: Any) -> None:
    value["value"] = redaction.HIDDEN if redaction.hides() else redaction.clean(str(value.get("value") or ""))
    for frame in (value.get("stacktrace") or {}).get("frames", []):
        frame.pop("vars", None)
        for name in ("context_line",):
            if frame.get(name):
                frame[name] = redaction.clean(frame[name])
        for name in ("pre_context", "post_context"):
            if frame.get(name):
                frame[name] = [redaction.clean(line) for line in frame[name]]


def close() -> None:
    """Send what is left, within a bound."""
    try:
        sentry_sdk.get_client().close(timeout=CLOSE_SECONDS)
    except Exception as error:  # noqa: BLE001 - the end must come
        logger.debug("Sentry did not close: {}", type(error).__name__)
