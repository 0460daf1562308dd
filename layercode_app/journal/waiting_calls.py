"""Keep the tool calls that wait for the caller's answer, if the turn of the answer ends before its agent decides.

`conversation/pending.py` describes these tool calls.
"""

from __future__ import annotations

from .record import TurnRecord


def keep_calls(record: TurnRecord, asked: TurnRecord, *, heard: bool = False) -> None:
    """Keep in this record the tool calls of the turn directly before it, which is `asked`.

    Nothing is kept if a tool of this turn has started, because it may be one of these calls. `heard` tells whether it is
    certain that the caller has heard the question, and nothing after it.
    """
    begun = record.pending or record.tools or record.handed_by
    if asked.pending and not begun and record.session_id == asked.session_id:
        record.pending = {"agent": asked.agent} | asked.pending | {"heard": heard}
