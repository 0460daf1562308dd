"""Explain from a turn's record alone why the turn failed, or why it was slow, silent or cut short."""

from __future__ import annotations

from ..blank import is_blank
from ..journal.record import Json, Status, ToolCall, TurnRecord
from .conversations import unheard
from .figures import duration, refused
from .waterfall import SLOW_MS, pauses, verdict_of, waits_in, waterfall_of
from .words import answered_ms

_ADVICE = {
    "bad_request": "The provider refused the request itself, so the same request fails again: see the provider's error code.",
    "bad_response": "The model's answer could not be read.",
    "content_filter": "The provider's content filter refused the request or the answer.",
    "length": "The answer reached the token limit: raise max_tokens, or ask for shorter answers.",
}
"""Explanations of the error categories whose names do not explain themselves."""
_GOT = {"apology": "the caller heard the apology", "filler": "the caller heard a filler"}


_WHERE = " `layercode-create-app logs --level error` has the traceback."


def explain(record: TurnRecord) -> str:
    """Explain in a few sentences how the turn went, why, and which steps made the caller wait."""
    verdict = verdict_of(record)
    return account(record) if verdict is None else f"{account(record)} {verdict}"


def account(record: TurnRecord) -> str:
    """Explain in a few sentences how the turn went, but not which steps made the caller wait."""
    if record.status is Status.RUNNING:
        return "It is still running, or its worker died."
    said = _failed(record) or _refused(record) or _silent(record) or _cut(record) or _slow(record) or _well(record)
    if record.status is Status.COMPLETE and (more := _trouble(record)):
        return " ".join([said or f"It was answered: first speech after {_first(record)}.", *more])
    return said or f"It went well: first speech after {_first(record)}."


def explain_json(record: TurnRecord) -> Json:
    """Return the explanation and the waterfall as JSON."""
    return {
        "turn_id": record.turn_id,
        "status": str(record.status),
        "explanation": explain(record),
        **waterfall_of(record).to_json(),
        "trace_id": record.trace_id,
    }


def _first(record: TurnRecord) -> str:
    return _after(record, "ttfs")


def _after(record: TurnRecord, timing: str = "total") -> str:
    value = record.timings.get(timing)
    return "-" if value is None else duration(value)


def _failed(record: TurnRecord) -> str | None:
    if record.status is not Status.FAILED:
        return None
    got = _GOT.get(record.impact) or ("nothing more was said" if record.spoken_text else "the caller heard nothing")
    tried = f" after {record.retries} {'retry' if record.retries == 1 else 'retries'}" if record.retries else ""
    where = f" in the tool {tool}" if (tool := _failed_tool(record)) else ""
    total = _after(record)
    what = _article(record.error_category or "internal")
    detail = f" ({record.error_detail})" if record.error_detail else ""
    hint = f" {advice}" if (advice := _ADVICE.get(record.error_category or "")) else ""
    return f"It failed{where} with {what} error{detail}{tried}, after {total}; {got}.{hint or _WHERE}"


def _failed_tool(record: TurnRecord) -> str:
    """Return the name of the tool whose error ended the turn, or "" if the turn did not end with a tool's error.

    The turn may contain other failed tool calls, whose errors the model handled. So search for the last failed tool
    call whose result is the turn's error. If no failed call has this result, return the tool of the last failed call.
    """
    failed = [call for call in reversed(record.tools) if call.status == "failed"]
    if record.error_category != "tool" or not failed:
        return ""
    return next((call.name for call in failed if call.result == record.error), failed[0].name)


def _article(category: str) -> str:
    return f"{'an' if category[0] in 'aeiou' else 'a'} {category.replace('_', ' ')}"


def _refused(record: TurnRecord) -> str | None:
    return "It was refused because a budget is used up; the caller heard the refusal." if refused(record) else None


def _silent(record: TurnRecord) -> str | None:
    if not is_blank(record.spoken_text):
        return None
    waited = _after(record)
    if record.status in (Status.INTERRUPTED, Status.SUPERSEDED):
        return f"It was silent: {_by(record)} after {waited}, before a word was spoken."
    if record.tools:
        return f"It was silent: it ended after {waited} without a word; its last tool was {record.tools[-1].name}."
    return f"It was silent: the agent ended after {waited} without a word."


def _cut(record: TurnRecord) -> str | None:
    missed = len(unheard(record).split())
    if record.status is Status.SUPERSEDED:
        return f"It was cut: {_by(record)} after {_after(record)}{_missed(record, missed)}."
    if record.status is not Status.INTERRUPTED:
        return None
    if not missed:
        after = _after(record)
        return f"It was cut: {_by(record)} after {after}; how much was heard is not known."
    return f"It was cut: {_by(record)}{_missed(record, missed)}."


def _by(record: TurnRecord) -> str:
    newer = "the caller spoke again, and the newer turn stopped it"
    return newer if record.status is Status.SUPERSEDED else "the caller interrupted it or left"


def _missed(record: TurnRecord, words: int) -> str:
    total = len(record.spoken_text.split())
    return f", and heard {total - words} of {total} words" if words else ""


def _slow(record: TurnRecord) -> str | None:
    spoken, answered = record.timings.get("ttfs"), answered_ms(record)
    filled = record.impact == "filler" or any(part.source == "filler" for part in record.speech)
    if spoken is None or not (filled or spoken >= SLOW_MS):
        return None
    said = f"first speech after {duration(spoken)}"
    if filled and answered is not None and answered > spoken:
        said = f"a filler after {duration(spoken)}, the answer after {duration(answered)}"
    return f"It was slow: {said}." + (" A filler covered the wait." if filled else "")


def _well(record: TurnRecord) -> str | None:
    """Explain the pauses in a turn that was answered in time; return None if there were none."""
    sentences = [_pause(record, *gap) for gap in pauses(record)] or _long_tool(record)
    first = f"first speech after {_first(record)}"
    return f"It paused: {first}, but {'; '.join(sentences)}." if sentences else None


def _pause(record: TurnRecord, start: float, end: float) -> str:
    what = next((f" ({label})" for label, _ in waits_in(record, start, end)), "")
    return f"{duration(end - start)} of silence after {duration(start)}{what}"


def _long_tool(record: TurnRecord) -> list[str]:
    """Return a sentence about the slowest tool if it was slow.

    Return nothing if the record has frames, because `pauses` then finds all silences in the frames.
    """
    slowest = max(record.tools, key=_took, default=None)
    if record.frames or slowest is None or _took(slowest) < SLOW_MS:
        return []
    return [f"the tool {slowest.name} took {duration(_took(slowest))}"]


def _trouble(record: TurnRecord) -> list[str]:
    """Return the problems of a turn that was answered nevertheless: its answer was cut short, or tools failed."""
    told = ["The answer was cut. " + _ADVICE[record.error_category or ""]] if record.impact == "cut" else []
    return told + [
        f"The tool {call.name} {'timed out' if call.result == 'timed out' else 'failed'} after {duration(_took(call))}."
        for call in record.tools
        if call.status == "failed"
    ]


def _took(call: ToolCall) -> float:
    return (call.ended_ms or call.started_ms) - call.started_ms
