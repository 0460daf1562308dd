"""Convert turn records to JSON for the dev page, and compute totals and percentiles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from ...blank import is_blank
from ...journal.cost import Cost, cost_of
from ...journal.model_usage import Share
from ...journal.read import first_agent
from ...journal.record import DATA, Json, Kind, ModelCall, Stage, Status, TurnRecord
from ...journal.record_json import from_json
from ...percentiles import percentiles
from ...reports.explain import account
from ...reports.waterfall import waterfall_of
from .links import linked

SLOW_MS = 1500.0
"""A turn whose first speech takes this many milliseconds or more is slow, as in `sessions explain`."""
_BODIES = ("messages", "frames")
_CUT = (Status.INTERRUPTED, Status.SUPERSEDED)


def summary(turn: TurnRecord) -> dict[str, Json]:
    """Return a turn without its messages and frames, for lists and transcripts."""
    head = {field.name: getattr(turn, field.name) for field in fields(turn) if field.name not in _BODIES}
    cost = cost_of(turn)
    return head | {
        "cost": cost.known if turn.usage.get("requests") else None,
        "cost_is_partial": bool(cost.unknown),
        "stages": [_priced(stage) for stage in turn.stages],
        "requests": [_priced(call) for call in turn.requests],
        "models": [_priced(share) for share in turn.shares],
        "spoken_text": turn.spoken_text,
        "heard": turn.heard,
        "cut": cut_text(turn),
    }


def shown(turn: TurnRecord) -> dict[str, Json]:
    """Return a turn for the transcript: its summary, and the data that it sent to the browser."""
    return summary(turn) | {"data": [frame.content for frame in turn.frames if frame.type == DATA]}


def _priced(part: Stage | ModelCall | Share) -> dict[str, Json]:
    cost = cost_of(part)
    return asdict(part) | {"cost": cost.known if part.usage else None, "cost_is_partial": bool(cost.unknown)}


def whole(turn: TurnRecord) -> dict[str, Json]:
    """Return a turn with its decoded model messages, all frames, its waterfall, and an explanation in words."""
    messages = from_json(turn.messages) if turn.messages else []
    waterfall = linked(waterfall_of(turn), messages)
    return summary(turn) | {
        "messages": messages,
        "frames": turn.frames,
        "waterfall": waterfall,
        "account": account(turn),
    }


def cut_text(turn: TurnRecord) -> str:
    """Return the text that was spoken but not heard; empty if all of it was heard, or if the two texts do not match."""
    if turn.heard_text is None or not turn.spoken_text.startswith(turn.heard_text):
        return ""
    return turn.spoken_text[len(turn.heard_text) :]


def _counted(values: Iterable[float]) -> dict[str, float | None] | None:
    """Return the percentiles and the count of the values; None if there are no values."""
    known = list(values)
    return {**percentiles(known), "count": len(known)} if known else None


def latency(turns: Sequence[TurnRecord]) -> dict[str, Json]:
    """Return the percentiles of the time to first speech of complete replies.

    `ttfs` is for the replies without tool calls, `ttfs_with_tools` for those with tool calls.
    """
    answered = [t for t in turns if t.kind is Kind.MESSAGE and t.status is Status.COMPLETE and "ttfs" in t.timings]
    return {
        "ttfs": _counted(t.timings["ttfs"] for t in answered if not t.tools),
        "ttfs_with_tools": _counted(t.timings["ttfs"] for t in answered if t.tools),
    }


def totals(turns: Sequence[TurnRecord]) -> dict[str, Json]:
    """Return counts, tokens and the cost of the greetings and replies among these turns.

    `cost` is None if no model was called. `cost_is_partial` is true if the cost of some requests is unknown.
    """
    speaking = [turn for turn in turns if turn.kind in (Kind.GREETING, Kind.MESSAGE)]
    cost = sum((cost_of(turn) for turn in speaking), Cost())
    asked = any(turn.usage.get("requests") for turn in speaking)
    return {
        "turns": len(speaking),
        "interrupted": sum(turn.status in _CUT or bool(cut_text(turn)) for turn in speaking),
        "failed": sum(turn.status is Status.FAILED for turn in speaking),
        "silent": sum(map(_is_silent, speaking)),
        "slow": sum(turn.timings.get("ttfs", 0) >= SLOW_MS for turn in speaking),
        "input_tokens": sum(turn.usage.get("input_tokens", 0) for turn in speaking),
        "output_tokens": sum(turn.usage.get("output_tokens", 0) for turn in speaking),
        "cost": cost.known if asked else None,
        "cost_is_partial": bool(cost.unknown),
    }


def _is_silent(turn: TurnRecord) -> bool:
    """Return whether the turn answered a message without speaking; false if it was interrupted."""
    asked = turn.kind is Kind.MESSAGE and not is_blank(turn.user_text)
    return asked and turn.status in (Status.COMPLETE, Status.FAILED) and is_blank(turn.spoken_text)


def seconds(turns: Sequence[TurnRecord]) -> float:
    """Return the seconds that the conversation lasted, without the time between its sessions."""
    sessions: dict[str, list[float]] = {}
    for turn in turns:
        sessions.setdefault(turn.session_id, []).extend((turn.started_at, turn.ended_at or turn.started_at))
    return sum(max(times) - min(times) for times in sessions.values())


def matches(turns: Sequence[TurnRecord], text: str) -> bool:
    """Return whether a conversation's words, agent or id contain the text, ignoring case."""
    said = (part for turn in turns for part in (turn.user_text, turn.spoken_text, turn.agent, turn.conversation_id))
    return any(text.casefold() in part.casefold() for part in said)


def conversation_row(turns: Sequence[TurnRecord]) -> dict[str, Any]:
    """Return a conversation's row in the list, given its turns, oldest first."""
    said = next((turn.user_text for turn in turns if turn.user_text), "")
    return {
        "conversation_id": turns[0].conversation_id,
        "agent": turns[-1].agent,
        "first_agent": first_agent(turns),
        "version": next((turn.fingerprint for turn in reversed(turns) if turn.fingerprint), ""),
        "seconds": round(seconds(turns), 1),
        "started_at": turns[0].started_at,
        "last_at": turns[-1].started_at,
        "title": said,
        "running": any(not turn.finished for turn in turns),
        **totals(turns),
        **latency(turns),
    }
