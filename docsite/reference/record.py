"""Write the page about the record of a turn. Its texts come from the dataclasses of the record and their docstrings."""

from __future__ import annotations

from dataclasses import fields

from layercode_app.journal.record import Frame, Kind, ModelCall, Speech, Stage, Status, ToolCall, TurnRecord

from ..docstrings import attribute_texts, class_text
from ..markdown import code, escaped, table

INTRODUCTION = """# The record of a turn

The journal has one record for each turn. History, deduplication, replay, reports and the dev page read it;
`layercode-create-app sessions show CONVERSATION --json` prints it. Times are epoch seconds; `at_ms`, `started_ms`,
`ended_ms` and everything in `timings` are milliseconds since the request was received. In JSON, fields that have their
default are left out.
"""
TEXTS = {
    "conversation_id": "The platform's id of the conversation; the key of history.",
    "turn_id": "The platform's id of the turn.",
    "kind": "The kind of event, see below.",
    "agent": "The name of the agent that answered.",
    "session_id": "The platform's id of the connection.",
    "status": "See below.",
    "fingerprint": "The agent's version: a digest that changes with its prompt, tools, hooks, output or model.",
    "model": "The model that answered.",
    "owner": "The worker that ran the turn.",
    "attempt": "How often the turn was started: more than once if a worker died.",
    "event": "The event as it was received.",
    "user_text": "The caller's words.",
    "speech": "What was spoken, in order.",
    "heard_text": "The part of the speech that the caller heard; null if the speech was not interrupted.",
    "notes": "What the turn reports about itself, for people.",
    "tools": "The tool calls.",
    "stages": "The parts timed with `turn.span`.",
    "state": "The conversation's state after the turn.",
    "metadata": "The metadata of the conversation.",
    "timings": "Times in the turn, such as `ttft` (first token), `ttfs` (first speech) and `total`.",
    "usage": "The numbers of tokens and requests, under PydanticAI's names, such as `input_tokens`.",
    "cost": "Dollars of the requests with a known price; null if there are none.",
    "outcomes": "The outcomes that were recorded with `turn.outcome`.",
    "scores": "The scores from `turn.score`, judges, reviewers and the caller's feedback.",
    "error_category": "See [errors](errors.md#categories-of-failed-turns).",
    "error": "The type of the error.",
    "impact": "What the caller got instead of the answer; `nothing` if all was well.",
    "trace_id": "The turn's trace.",
    "span_id": "The turn's span.",
    "started_at": "When the request was received.",
    "ended_at": "When the turn ended.",
    "frames": "The answer's frames, as they were sent.",
    "type": "The frame's type, see [frames](events-and-frames.md#frames).",
    "content": "The frame's content.",
    "at_ms": "When it was written.",
    "source": "The source of the text: `model`, `output`, `say`, `greeting`, `filler` or `apology`.",
    "response": "The number of the model's response in the turn.",
    "text": "The text.",
    "id": "The id of the tool call.",
    "name": "The name of the tool or stage.",
    "args": "The arguments.",
    "started_ms": "When it began.",
    "ended_ms": "When it ended.",
    "result": "What the tool returned.",
    "policy": "The effect of an interruption on the tool call: `cancel`, `finish` or `finish_and_tell`.",
}
"""The meaning of fields that have no docstring in the code."""


def page() -> str:
    """Return the page: one table for the record, and one table for each part of the record."""
    parts = [INTRODUCTION, "## Fields\n", _table(TurnRecord)]
    for part in (Speech, ToolCall, Stage, ModelCall, Frame):
        parts += [f"## {part.__name__}\n", class_text(part) + "\n", _table(part)]
    for choice in (Status, Kind):
        texts = attribute_texts(choice)
        rows = [(code(one.value), escaped(texts.get(one.name, ""))) for one in choice]
        parts += [f"## {choice.__name__}\n", class_text(choice) + "\n", table(("value", "meaning"), rows)]
    return "\n".join(parts)


def _table(part: type) -> str:
    texts = {**TEXTS, **attribute_texts(part)}
    if part is not TurnRecord:
        texts = {**texts, "status": "`running`, `done`, `failed` or `cancelled`."}
    rows = [(code(one.name), code(one.type), escaped(texts.get(one.name, ""))) for one in fields(part)]
    return table(("field", "type", "meaning"), rows)
