"""The standard library's log lines, and uvicorn's, through Loguru."""

from __future__ import annotations

import inspect
import logging
from contextlib import nullcontext

from loguru import logger

from . import context

CANCELLED = "asyncio.exceptions.CancelledError"
"""How uvicorn's traceback of a server that was told twice to stop ends; it is what was asked for, no error."""


class _Intercept(logging.Handler):
    """Hands the standard library's records to Loguru, as if they had been logged where they were."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("uvicorn") and record.getMessage().rstrip().endswith(CANCELLED):
            return
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        frame, depth = inspect.currentframe(), 0
        while frame and (depth == 0 or frame.f_code.co_filename == logging.__file__):
            frame, depth = frame.f_back, depth + 1
        # uvicorn logs what escaped an app after the request has ended, and it may still quote the caller.
        with context.for_somebody() if record.name.startswith("uvicorn") else nullcontext():
            # The text as an argument: braces in it are not ours to fill.
            logger.opt(depth=depth, exception=record.exc_info).log(level, "{}", record.getMessage())


def intercepted() -> bool:
    """Whether the standard library's lines still come to Loguru."""
    return any(isinstance(handler, _Intercept) for handler in logging.getLogger().handlers)


def intercept(level: str) -> None:
    """Send the standard library's lines, from INFO on, to Loguru; `level` TRACE takes its DEBUG lines along."""
    root = logging.getLogger()
    root.handlers = [_Intercept()]
    root.setLevel(logging.INFO if level != "TRACE" else logging.DEBUG)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        own = logging.getLogger(name)
        # Each request has its own line from us. Theirs costs something until nobody could hear it.
        own.handlers, own.propagate = [], name != "uvicorn.access"
    # These would say what was said already, and sinks report their own outages.
    for name, least in (
        ("httpx", logging.WARNING),
        ("httpx2", logging.WARNING),
        ("watchfiles", logging.WARNING),
        ("opentelemetry", logging.CRITICAL + 1),
        ("sentry_sdk", logging.CRITICAL + 1),
        ("urllib3", logging.CRITICAL + 1),
    ):
        logging.getLogger(name).setLevel(least)
