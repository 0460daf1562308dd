"""Send the log lines of the standard library and uvicorn through Loguru."""

from __future__ import annotations

import inspect
import logging
from contextlib import nullcontext

from loguru import logger

from . import context

CANCELLED = "asyncio.exceptions.CancelledError"
"""The end of uvicorn's traceback after a second request to stop. This traceback is dropped: it is not an error."""


TOLD = ("Child process", "Received SIGHUP", "Received SIGTT", "Already reached")
"""Prefixes of uvicorn's lines that help an operator. Its other INFO lines are written at DEBUG, because our own lines
cover them."""


class _Intercept(logging.Handler):
    """Passes the standard library's log records to Loguru, with the place in the code that logged them."""

    def emit(self, record: logging.LogRecord) -> None:
        text = _text(record)
        if record.name.startswith("uvicorn") and text.rstrip().endswith(CANCELLED):
            return
        level = _level(record, text)
        frame, depth = inspect.currentframe(), 0
        while frame and (depth == 0 or frame.f_code.co_filename == logging.__file__):
            frame, depth = frame.f_back, depth + 1
        # uvicorn logs an app's uncaught error after the request has ended. The error may still quote the caller.
        with context.for_reader() if record.name.startswith("uvicorn") else nullcontext():
            # Pass the text as an argument, because it may contain braces.
            logger.opt(depth=depth, exception=record.exc_info).log(level, "{}", text)


def _text(record: logging.LogRecord) -> str:
    """Return the text of a record. If its arguments do not fit, return it without them: a faulty log call stops no turn."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - the text of an argument may raise any error
        text = record.msg if isinstance(record.msg, str) else f"An object of type {type(record.msg).__name__}"
        return f"{text} (logged without its arguments, because formatting them failed: {type(error).__name__})"


def _level(record: logging.LogRecord, text: str) -> str | int:
    """Return the level at which Loguru writes a record with this text."""
    step = record.name.startswith("uvicorn") and record.levelno == logging.INFO
    if step and not text.startswith(TOLD):
        return "DEBUG"
    try:
        return logger.level(record.levelname).name
    except ValueError:
        return record.levelno


def intercepted() -> bool:
    """Return whether the root logger still has the handler that sends its records to Loguru."""
    return any(isinstance(handler, _Intercept) for handler in logging.getLogger().handlers)


def intercept(level: str) -> None:
    """Send the log records of the standard library's `logging` to Loguru.

    Records below INFO are dropped, unless `level` is TRACE: then only those below DEBUG are dropped.
    """
    root = logging.getLogger()
    root.handlers = [_Intercept()]
    root.setLevel(logging.INFO if level != "TRACE" else logging.DEBUG)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        own = logging.getLogger(name)
        # We log each request ourselves. Without a handler, uvicorn does not even create its access lines.
        own.handlers, own.propagate = [], name != "uvicorn.access"
    # These libraries repeat what we log already; outages of sinks are logged by `outages.py`.
    for name, least in (
        ("httpx", logging.WARNING),
        ("httpx2", logging.WARNING),
        ("watchfiles", logging.WARNING),
        ("opentelemetry", logging.CRITICAL + 1),
        ("sentry_sdk", logging.CRITICAL + 1),
        ("urllib3", logging.CRITICAL + 1),
    ):
        logging.getLogger(name).setLevel(least)
