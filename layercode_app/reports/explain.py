"""One sentence for each turn: why it was slow, silent or cut, from its record alone."""

from __future__ import annotations

from collections.abc import Iterator

from ..conversation.record import Json, Status, ToolCall, TurnRecord
from .conversations import unheard
from .figures import milliseconds, refused

SLOW_MS = 1500.0
"""To the first speech; longer, and callers ask whether somebody is there."""
LONG_MS = 500.0
"""A part of the wait that is worth naming."""
_GOT = {"apology": "the caller heard the apology", "filler": "the caller heard a filler"}


def explain(record: TurnRecord) -> str:
    """Why the turn went as it did, in a sentence."""
    if record.status is Status.RUNNING:
        return "It is running, or its worker died before it could end."
    sentences = _failed(record) or _refused(record) or _silent(record) or _cut(record) or _slow(record)
    return sentences or f"It went well: first speech after {milliseconds(record.timings.get('ttfs'))}."


def explain_json(record: TurnRecord) -> Json:
    """The explanation for a program."""
    return {
        "turn_id": record.turn_id,
        "status": str(record.status),
        "explanation": explain(record),
        "trace_id": record.trace_id,
    }


def _failed(record: TurnRecord) -> str | None:
    if record.status is not Status.FAILED:
        return None
    got = _GOT.get(record.impact) or ("nothing more was said" if record.spoken_text else "the caller heard nothing")
    tried = f" after {record.retries} tries more" if record.retries else ""
    where = next((f" in the tool {call.name}" for call in record.tools if call.status == "failed"), "")
    total = milliseconds(record.timings.get("total"))
    return f"It failed{where} with {_article(record.error_category or 'internal')} error{tried}, after {total}; {got}."


def _article(category: str) -> str:
    return f"{'an' if category[0] in 'aeiou' else 'a'} {category.replace('_', ' ')}"


def _refused(record: TurnRecord) -> str | None:
    return "It was refused because a budget is used up; the caller heard the refusal." if refused(record) else None


def _silent(record: TurnRecord) -> str | None:
    if record.spoken_text:
        return None
    waited = milliseconds(record.timings.get("total"))
    if record.status in (Status.INTERRUPTED, Status.SUPERSEDED):
        return f"It was silent: {_by(record)} after {waited}, before a word was spoken. {_waiting(record)}".strip()
    if record.tools:
        return f"It was silent: it ended after {waited} with the tool {record.tools[-1].name} and no words."
    return f"It was silent: the agent ended after {waited} without a word."


def _cut(record: TurnRecord) -> str | None:
    missed = len(unheard(record).split())
    if record.status is Status.SUPERSEDED:
        return f"It was cut: {_by(record)} after {milliseconds(record.timings.get('total'))}{_missed(record, missed)}."
    if record.status is not Status.INTERRUPTED:
        return None
    if not missed:
        after = milliseconds(record.timings.get("total"))
        return f"It was cut: {_by(record)} after {after}; how much was heard is not known."
    return f"It was cut: {_by(record)}{_missed(record, missed)}."


def _by(record: TurnRecord) -> str:
    newer = "the caller spoke again, and the newer turn stopped it"
    return newer if record.status is Status.SUPERSEDED else "the caller spoke over it or left"


def _missed(record: TurnRecord, words: int) -> str:
    total = len(record.spoken_text.split())
    return f", and heard {total - words} of {total} words" if words else ""


def _slow(record: TurnRecord) -> str | None:
    ttfs = record.timings.get("ttfs")
    filled = " A filler covered the wait." if record.impact == "filler" else ""
    if ttfs is not None and (ttfs >= SLOW_MS or filled):
        return f"It was slow: first speech after {milliseconds(ttfs)}. {_waiting(record)}{filled}"
    slowest = _slowest(record.tools)
    if slowest is not None and _took(slowest) >= SLOW_MS:
        return (
            f"It paused: first speech after {milliseconds(ttfs)}, but the tool {slowest.name} "
            f"took {milliseconds(_took(slowest))}."
        )
    return None


def _waiting(record: TurnRecord) -> str:
    """Where the time before the first speech went."""
    parts = sorted(_parts(record), reverse=True)
    named = [f"{milliseconds(ms)} for {what}" for ms, what in parts if ms >= LONG_MS]
    return f"It waited {', '.join(named)}." if named else ""


def _parts(record: TurnRecord) -> Iterator[tuple[float, str]]:
    timings = record.timings
    end = timings.get("ttfs") or timings.get("total") or 0.0
    before = timings.get("history", 0.0)
    yield before, "the journal and an older turn"
    first = min(timings.get("ttft", end), end)
    yield max(first - before, 0.0), f"the model's first token{_retried(record)}"
    for call in record.tools:
        if call.started_ms < end:
            yield min(call.ended_ms or end, end) - call.started_ms, f"the tool {call.name}"


def _retried(record: TurnRecord) -> str:
    return f" ({record.retries} retries)" if record.retries else ""


def _took(call: ToolCall) -> float:
    return (call.ended_ms or call.started_ms) - call.started_ms


def _slowest(tools: list[ToolCall]) -> ToolCall | None:
    return max(tools, key=_took, default=None)
