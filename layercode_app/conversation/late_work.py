"""Work that may outlast its turn: the coroutines of `turn.background`, and tools that finish after an interruption.

When such work ends after its turn was saved, its effects are added to the saved record.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ..journal.model_usage import add_usage
from ..journal.record import Kind, ModelCall, ToolCall, TurnRecord, is_of_job
from .lasting import in_background
from .live import LiveTurn

Run = Callable[[Coroutine[Any, Any, Any]], None]
"""Runs a coroutine in the background."""


def start(run: Run, live: LiveTurn, work: Awaitable[Any], call: ToolCall | None = None) -> None:
    """Run work in the background. If the turn ends first, save the effects of the work when the work ends.

    `call` is the tool call that the work completes, if any.
    """
    name = f"background-{live.begin_work()}"
    live.record.outlasting.append(name)
    if live.state is not None:
        live.state.users += 1  # Until the work has ended, later turns share this state object.
    # Use the present value of `live.late`, because a hand-over replaces it.
    run(_outlasting(live, work, partial(live.late, live, name, call) if live.late else None))


async def _outlasting(live: LiveTurn, work: Awaitable[Any], save: Callable[[], Awaitable[None]] | None) -> None:
    try:
        await in_background(live, work)
    finally:
        if save is not None:
            await save()


def note_late(work: str, call: ToolCall | None, live: TurnRecord, record: TurnRecord) -> None:
    """Update `record`, the saved record, with the changes that were made in `live` after the turn had ended.

    `work` is the name of the background work that made these changes. `call` is the tool call that the work completed,
    if any. If the tool has the policy `finish_and_tell`, also add a note that tells the model the result.
    """
    record.outlasting = [name for name in record.outlasting if name != work]
    record.outcomes, record.counts = list(live.outcomes), dict(live.counts)
    record.scores = live.scores | record.scores  # A reviewer may have changed a score since the turn ended.
    record.stages = [replace(stage, usage=dict(stage.usage)) for stage in live.stages]
    _copy_usage(live, record)
    if call is not None:
        _note_result(call, record)


def _copy_usage(live: TurnRecord, record: TurnRecord) -> None:
    """Copy the requests, usage and cost of `live` into `record`, the saved record.

    Requests that jobs have added to the saved record stay in it, with their usage and cost.
    """
    of_jobs = [call for call in record.requests if is_of_job(call, record)]
    record.requests = [replace(call, usage=dict(call.usage)) for call in live.requests] + of_jobs
    record.model, record.usage, record.cost = live.model, dict(live.usage), live.cost
    for call in of_jobs:
        add_usage(record, call.usage, call.cost)


def _note_result(call: ToolCall, record: TurnRecord) -> None:
    for stored in record.tools:
        if stored.id == call.id:
            stored.status, stored.result, stored.ended_ms = call.status, call.result, call.ended_ms
            stored.effects = call.effects
    ended = "failed" if call.status == "failed" else "finished"
    note = f"[{call.name} {ended} after the interruption: {call.result}]"
    if call.policy == "finish_and_tell" and note not in record.notes:
        record.notes.append(note)


def usage_of(record: TurnRecord, requests: Sequence[ModelCall]) -> TurnRecord:
    """Return a new record that has only these requests of a turn, and their usage and cost.

    It is meant for the usage totals and the metrics, which already contain the rest of the turn.
    """
    # Use the kind of a data event, so that the turn is not counted again. It was counted when it ended.
    used = TurnRecord(*record.key, Kind.DATA, record.agent, started_at=record.started_at, requests=list(requests))
    for call in requests:
        add_usage(used, call.usage, call.cost)
    return used
