"""Report each error to Sentry once, with traceback, ids, agent and category.

Transcripts, bodies, local variables and cancellations are never sent.
"""

from __future__ import annotations

from logging import LogRecord
from typing import Any

import sentry_sdk
from loguru import logger
from pydantic import SecretStr
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.loguru import LoguruEventHandler
from sentry_sdk.integrations.starlette import StarletteIntegration
from sentry_sdk.scope import Scope

from .._compat.sentry import AnsweredTransport
from ..settings import Settings, environment, service_version
from . import context, logs
from .console import OWN
from .outages import Outage
from .sentry_events import OWN_RECORD, drop, prepare, prepare_breadcrumb, prepare_metric

CLOSE_SECONDS = 1.0
MOST_BREADCRUMBS = 50
_outage = Outage("Sentry")


class _State:
    """The client that this module set up, and the scopes from which each turn's scopes are forked."""

    client: Any = None
    isolation: Scope | None = None
    current: Scope | None = None


class _Transport(AnsweredTransport):
    """Sentry's own transport with a short timeout. It logs an outage once."""

    TIMEOUT = 2

    def on_dropped_event(self, _reason: str) -> None:
        _outage.failed(_reason.replace("_", " "))

    def on_delivered(self) -> None:
        _outage.worked()


def configure(settings: Settings) -> None:
    """Start to report errors. Call this after the logs are configured, because a log handler reports the errors."""
    assert settings.sentry_dsn is not None
    _init(settings, settings.sentry_dsn.get_secret_value())
    logs.keep(_listen)
    _State.client = sentry_sdk.get_client()
    _State.isolation, _State.current = sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()
    context.isolate_with(_isolate)


def _listen() -> int:
    """Add a log handler that reports errors, and return its Loguru id."""
    return logger.add(_Handler(level=logger.level("ERROR").no), level="ERROR", format=_title, diagnose=False)


class _Handler(LoguruEventHandler):
    """Reports errors that are logged. It marks their log records, because only the text of marked records is sent."""

    def emit(self, record: LogRecord) -> Any:
        """Report the error of a log record to Sentry.

        First mark the record as one that this handler reports, so that the text of the record may be sent.
        """
        setattr(record, OWN_RECORD, True)
        # Remove what the console's handler stored in `extra`: the text of its line, which may quote the caller.
        record.__dict__["extra"] = {
            name: value for name, value in record.__dict__.get("extra", {}).items() if name not in OWN
        }
        return super().emit(record)


def _init(settings: Settings, dsn: str) -> None:
    sentry_sdk.init(
        dsn=dsn,
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
        ],
        traces_sample_rate=None,
        trace_propagation_targets=[],
        auto_session_tracking=False,
        send_client_reports=False,
        max_breadcrumbs=MOST_BREADCRUMBS,
        max_request_body_size="never",
        include_local_variables=False,
        data_collection={
            "user_info": False,
            "http_bodies": [],
            "stack_frame_variables": False,
        },
        before_send=prepare,
        before_breadcrumb=prepare_breadcrumb,
        before_send_metric=prepare_metric,
        before_send_transaction=drop,
        shutdown_timeout=0,
    )


def _release(settings: Settings) -> str | None:
    """Return SENTRY_RELEASE or, if it is not set, the service's name and version.

    Return None if the version is unknown; then Sentry finds the release itself.
    """
    if release := environment().get("SENTRY_RELEASE"):
        return release
    version = service_version(settings)
    return f"{settings.service_name}@{version}" if version else None


def _title(record: Any) -> str:
    return "{message}"


def active() -> bool:
    """Return whether errors are reported, by the Sentry client that this module set up."""
    return _State.client is not None and sentry_sdk.get_client() is _State.client


def restore(settings: Settings) -> bool:
    """Replace a client that an agent file set up. Return whether there was such a client.

    The agent file's client would send bodies, variables and transcripts. If SENTRY_DSN is not set, the new client uses
    the DSN in the agent file, unless TELEMETRY_ENABLED is false.
    """
    other = sentry_sdk.get_client()
    if other is _State.client or not other.is_active():
        return False
    if _State.client is not None:
        sentry_sdk.get_global_scope().set_client(_State.client)
    elif settings.telemetry_enabled and other.dsn:
        configure(settings.model_copy(update={"sentry_dsn": SecretStr(other.dsn)}))
    else:
        sentry_sdk.get_global_scope().set_client(None)
    other.close(timeout=0)
    return True


def _isolate() -> None:
    """Give the current task separate scopes, so that data of different callers is not mixed.

    The scopes are forked from those at the start of the process. Sentry's context managers cannot be used, because they
    restore the scopes at the end of a block, and a turn outlives the block that begins it.
    """
    assert _State.isolation is not None
    assert _State.current is not None
    isolation = _State.isolation.fork()
    isolation.set_new_propagation_context()
    Scope.set_isolation_scope(isolation)
    Scope.set_current_scope(_State.current.fork())


def close() -> None:
    """Send the remaining events, with a timeout."""
    try:
        sentry_sdk.get_client().close(timeout=CLOSE_SECONDS)
    except Exception as error:  # noqa: BLE001 - the process must be able to end
        logger.debug("Sentry did not close: {}", type(error).__name__)
