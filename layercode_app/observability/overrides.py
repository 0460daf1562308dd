"""Undo an agent file's own setup of logs, spans or Sentry, and log a warning.

Such setup is often copied from a guide. It would put transcripts into spans or error reports, or turn off our logs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from loguru import logger
from opentelemetry.sdk.trace import SpanProcessor

from .._compat.logfire import configured, span_processors
from . import logs
from .attempts import attempt

if TYPE_CHECKING:
    from ..settings import Settings
    from .tracing import Tracing

LOGURU = (
    "logger.remove() or logging.basicConfig() in an agent file turned off the logs; this was undone. Set LOG_LEVEL, "
    "LOG_FORMAT or LOG_DIR instead. You may use logger.add(); its lines are not masked."
)
SENTRY = (
    "sentry_sdk.init() in an agent file would send transcripts, so it was undone{}. Set SENTRY_DSN instead, and "
    "mark errors with sentry_sdk.set_tag() in a turn."
)
LOGFIRE = (
    "logfire.configure() in an agent file would send spans unmasked, so it was undone. Set LOGFIRE_TOKEN or "
    "OTEL_EXPORTER_OTLP_ENDPOINT instead; logfire.span() works without logfire.configure()."
)
PYDANTIC_AI = (
    "logfire.instrument_pydantic_ai() or Agent.instrument_all() in an agent file would put transcripts into spans, so "
    "it was undone. Models and tools have spans even without this call; LAYERCODE_CAPTURE_CONTENT=true adds the "
    "transcripts."
)

_OFF = SpanProcessor()
"""A span processor that does nothing. If the SDK is turned off, it has only this processor."""


def undo(settings: Settings, tracing: Tracing | None, agents: Iterable[Any]) -> None:
    """Undo an agent file's setup of logs, spans or Sentry. Log a warning that says what the file should do instead."""
    if logs.restore():
        logger.warning("{}", LOGURU)
    if _undo_logfire() if tracing is None else tracing.restore():
        logger.warning("{}", LOGFIRE)
    if "pydantic_ai" in sys.modules:
        attempt("PydanticAI's spans", lambda: _undo_instrumentation(agents))
    if "sentry_sdk" in sys.modules:
        attempt("Sentry", lambda: _undo_sentry(settings))


def _undo_logfire() -> bool:
    """Turn off all outputs of Logfire's SDK if an agent file configured it. Return whether it did."""
    if "logfire" not in sys.modules or not configured() or _OFF in (span_processors() or ()):
        return False
    attempt("Logfire's SDK", _turn_logfire_off)
    return True


def _turn_logfire_off() -> None:
    import logfire

    logfire.configure(
        send_to_logfire=False, console=False, metrics=False, inspect_arguments=False, additional_span_processors=[_OFF]
    )


def _undo_instrumentation(agents: Iterable[Any]) -> None:
    from . import instrument

    if instrument.restore(agents):
        logger.warning("{}", PYDANTIC_AI)


def _undo_sentry(settings: Settings) -> None:
    from . import sentry

    if sentry.restore(settings):
        kept = "" if settings.sentry_dsn else ", but its DSN is used" if settings.telemetry_enabled else ""
        logger.warning("{}", SENTRY.format(kept))
