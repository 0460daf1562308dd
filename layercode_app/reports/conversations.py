"""Format the journal's conversations: as a list, or one conversation turn by turn with what the caller heard."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from ..journal.cost import cost_of
from ..journal.record import Json, Kind, ModelCall, Stage, TurnRecord
from ..journal.stores.base import Summary
from .figures import interrupted

LATENCY = ("ttfs", "ttft", "total")


def summary_json(summary: Summary) -> Json:
    """Return an entry of the list of conversations as JSON."""
    return {
        "conversation_id": summary.conversation_id,
        "agent": summary.agent,
        "turns": summary.turns,
        "started_at": moment(summary.started_at),
        "last_at": moment(summary.last_at),
    }


def turn_json(record: TurnRecord) -> Json:
    """Return a turn as JSON: what was said and heard, and figures. Times are in milliseconds, costs in dollars."""
    cost = cost_of(record)
    return {
        "turn_id": record.turn_id,
        "session_id": record.session_id,
        "kind": str(record.kind),
        "agent": record.agent,
        "status": str(record.status),
        "started_at": moment(record.started_at),
        "caller": record.user_text,
        "agent_said": record.spoken_text,
        "heard": record.heard,
        "unheard": unheard(record),
        "tools": [
            {"name": call.name, "args": call.args, "status": call.status, "result": call.result,
             "ms": None if call.ended_ms is None else round(call.ended_ms - call.started_ms, 1)}
            for call in record.tools
        ],
        "at_stage": record.at_stage,
        "handed_to": record.handed_to,
        "stages": [stage_json(stage) for stage in record.stages],
        **{f"{name}_ms": record.timings.get(name) for name in LATENCY},
        "model": record.model,
        "version": record.fingerprint,
        "models": models_json(record),
        "requests": [request_json(call) for call in record.requests],
        "usage": record.usage,
        "cost": cost.known,
        "cost_is_partial": bool(cost.unknown),
        "retries": record.retries,
        "error": record.error_category,
        "error_detail": record.error_detail,
        "impact": record.impact,
        "outcomes": record.outcomes,
        "scores": record.scores,
        "trace_id": record.trace_id,
    }  # fmt: skip


def models_json(record: TurnRecord) -> list[Json]:
    """Return each model of a turn with its tokens and cost, as JSON."""
    return [
        {"model": share.model, "usage": share.usage, "cost": cost.known, "cost_is_partial": bool(cost.unknown)}
        for share in record.shares
        for cost in [cost_of(share)]
    ]


def request_json(call: ModelCall) -> Json:
    """Return a model request as JSON."""
    cost = cost_of(call)
    return asdict(call) | {"cost": cost.known if call.usage else None, "cost_is_partial": bool(cost.unknown)}


def stage_json(stage: Stage) -> Json:
    """Return a stage of a turn as JSON."""
    cost = cost_of(stage)
    return {
        "name": stage.name,
        "status": stage.status,
        "ms": None if stage.ended_ms is None else round(stage.ended_ms - stage.started_ms, 1),
        "model": stage.model,
        "usage": stage.usage,
        "cost": cost.known,
        "cost_is_partial": bool(cost.unknown),
    }


def unheard(record: TurnRecord) -> str:
    """Return the end of the reply: the words that were sent, but that the caller did not hear."""
    return unheard_part(record.spoken_text, record.heard)


def unheard_part(spoken: str, heard: str) -> str:
    """Return the part of `spoken` that follows `heard`; empty if `spoken` does not begin with `heard`."""
    return spoken[len(heard) :] if spoken.startswith(heard) else ""


def is_spoken(record: TurnRecord) -> bool:
    """Return whether the record is a greeting or a message, and not another event of the conversation."""
    return record.kind in (Kind.GREETING, Kind.MESSAGE)


def was_cut(record: TurnRecord) -> bool:
    """Return whether the turn was interrupted, or the caller missed the end of the reply."""
    return interrupted(record) or bool(unheard(record))


def moment(seconds: float | None) -> str | None:
    """Format epoch seconds as ISO 8601 in UTC; return None for None or 0."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds") if seconds else None
