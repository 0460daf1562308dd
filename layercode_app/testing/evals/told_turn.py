"""Describe a turn for the results of a run: its words, tools and times, without the record's messages and frames."""

from __future__ import annotations

from typing import Any

from ...journal.record import Kind, TurnRecord
from ...output.visible import shortened
from ...reports.waterfall import waterfall_of
from ...reports.waterfall_rows import Row, marks_of, rows_of
from ..turn import HeardTurn, shown_call, shown_error

LONGEST = 400
"""A tool's result and the content of a `data` frame are cut to this number of characters."""


def told_turn(turn: HeardTurn, record: TurnRecord | None) -> dict[str, Any]:
    """Return a turn as a dictionary for JSON. Times are in milliseconds since the request.

    `record` is the turn's record in the journal. It is an argument, because `turn.record` is None if the call broke off
    in this turn.
    """
    message = bool(turn.text) or (record is not None and record.kind is Kind.MESSAGE)
    return {
        "said": turn.text if message else None,
        "spoken": turn.spoken,
        "heard": turn.heard if turn.interrupted else None,
        "hangup": turn.hangup,
        "tools": [_tool(call.name, call.args, call.result, call.status) for call in (record.tools if record else [])],
        "data": [_short(content) for content in turn.data],
        "trouble": _trouble(turn),
        "ttfs_ms": None if turn.ttfs is None else round(turn.ttfs, 1),
        "waterfall": None if record is None else _waterfall(record),
    }


def _tool(name: str, args: Any, result: Any, status: str) -> dict[str, str]:
    return {"call": shown_call(name, args), "result": _short(result), "status": status}


def _short(value: Any) -> str:
    return shortened(repr(value), LONGEST)


def _trouble(turn: HeardTurn) -> str:
    """Return what went wrong on the server; empty if nothing did."""
    if turn.error is not None:
        return shown_error(turn.error)
    # The status is 0 if the caller interrupted before the answer began.
    return "" if turn.status in (0, 200) else f"answered with status {turn.status}"


def _waterfall(record: TurnRecord) -> dict[str, Any]:
    waterfall = waterfall_of(record)
    return {
        "total_ms": round(waterfall.total_ms, 1),
        "rows": [_row(row) for row in rows_of(waterfall)],
        "marks": [{"name": mark.name, "at_ms": round(mark.at_ms, 1)} for mark in marks_of(waterfall)],
        "verdict": str(waterfall.verdict or ""),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "label": row.label,
        "color": row.color,
        "status": row.status,
        "took_ms": round(row.took_ms, 1),
        "at": row.at,
        "bars": [[round(bar.from_ms, 1), round(bar.to_ms, 1), bar.pale] for bar in row.bars],
    }
