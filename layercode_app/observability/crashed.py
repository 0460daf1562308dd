"""Report a turn whose worker died. Another worker does this after it has ended the turn."""

from __future__ import annotations

from contextvars import Context

from loguru import logger

from ..journal.record import Kind, TurnRecord
from . import context, metrics
from .turns import log_line


def turn_crashed(record: TurnRecord) -> None:
    """Report a turn or a data event whose worker died, to the log and the metrics."""
    # Run in an empty context, because the current request and span may be those of the conversation's next turn.
    Context().run(_report, record)


def _report(record: TurnRecord) -> None:
    with context.within(record):
        # Log this line here and not in the module `turns`, because the lines of `turns` are off in an embedded app.
        logger.error("The {} failed because its worker died", "data event" if record.kind is Kind.DATA else "turn")
        if record.kind is Kind.DATA:
            metrics.record_usage(record)
        else:
            log_line(record)
            metrics.record_turn(record)
