"""Undo snippets of common guides, at the top of an agent file, that replace a sink, and log why.

They would send what callers say to a sink, or leave a sink without log lines.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from loguru import logger

from . import logs
from .attempts import attempt

if TYPE_CHECKING:
    from ..settings import Settings
    from .tracing import Tracing

LOGURU = (
    "logger.remove() or logging.basicConfig() in an agent file took the log lines away; they are back. Set LOG_LEVEL, "
    "LOG_FORMAT or LOG_DIR instead. logger.add() is welcome, and its lines are not masked."
)
SENTRY = (
    "sentry_sdk.init() in an agent file would send what callers say; it is set aside{}. Set SENTRY_DSN instead, and "
    "mark errors with sentry_sdk.set_tag() in a turn."
)
LOGFIRE = (
    "logfire.configure() in an agent file would send spans unmasked; it is set aside. Set LOGFIRE_TOKEN or "
    "OTEL_EXPORTER_OTLP_ENDPOINT instead; logfire.span() works without it."
)
PYDANTIC_AI = (
    "logfire.instrument_pydantic_ai() or Agent.instrument_all() in an agent file would put what callers say into spans; "
    "it is set aside. Models and tools have spans without it; LAYERCODE_CAPTURE_CONTENT=true adds the content."
)


def undo(settings: Settings, tracing: Tracing | None, agents: Iterable[Any]) -> None:
    """Restore the sinks as they were set up, and log what an agent file should do instead."""
    if logs.restore():
        logger.warning("{}", LOGURU)
    if tracing is not None and tracing.restore():
        logger.warning("{}", LOGFIRE)
    if "pydantic_ai" in sys.modules:
        attempt("PydanticAI's spans", lambda: _undo_instrumentation(agents))
    if "sentry_sdk" in sys.modules:
        attempt("Sentry", lambda: _undo_sentry(settings))


def _undo_instrumentation(agents: Iterable[Any]) -> None:
    from . import instrument

    if instrument.restore(agents):
        logger.warning("{}", PYDANTIC_AI)


def _undo_sentry(settings: Settings) -> None:
    from . import sentry

    if sentry.restore(settings):
        kept = "" if settings.sentry_dsn else ", and its DSN is used" if settings.telemetry_enabled else ""
        logger.warning("{}", SENTRY.format(kept))
