"""Find the steps of a turn in its record: what the turn did, and when. The dev page and `explain` show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ..journal.cost import cost_of
from ..journal.record import ModelCall, Stage, Status, ToolCall, TurnRecord

StepKind: TypeAlias = Literal["verify", "history", "model", "tool", "helper", "stage", "rest"]
FINISHING = "finishing the turn"
"""The label of the time after the last step, when everything is said."""
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


@dataclass(slots=True)
class Step:
    """A step of a turn; times in milliseconds since the request.

    `name` is short, for a chart; `label` is for a sentence. `first_ms` is the time of a model request's first token.
    """

    kind: StepKind
    name: str
    label: str
    started_ms: float
    ended_ms: float
    first_ms: float | None = None
    status: str = "done"
    call_id: str = ""
    """The id of a tool call."""
    lost: bool = False
    """True for a model request that was hedged and lost: the other request of the pair answered."""
    model: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    cost: float | None = None
    cost_is_partial: bool = False
    own_ms: float = 0.0
    """The part of the turn's duration that counts for this step alone; the parts of all steps add up to the whole."""
    runs: list[tuple[float, float]] = field(default_factory=list)
    """For a step of the kind `rest`: the intervals that no other step covers. Empty for steps of other kinds."""


def end_of(record: TurnRecord) -> float:
    """Return when the turn ended; for a running turn, the latest time in its record."""
    if (total := record.timings.get("total")) is not None:
        return total
    times = [*record.timings.values(), *(frame.at_ms for frame in record.frames)]
    times += [call.first_ms or 0.0 for call in record.requests]
    parts: list[ModelCall | ToolCall | Stage] = [*record.requests, *record.tools, *record.stages]
    for part in parts:
        times += [part.started_ms, part.ended_ms or 0.0]
    return max(times, default=0.0)


def steps_of(record: TurnRecord) -> list[Step]:
    """Return the steps in the order they began: webhook check, journal, model requests, tools, stages and helpers."""
    end = end_of(record)
    begun = record.timings.get("history", 0.0)
    verified = min(record.timings.get("verified", 0.0), begun)
    waits = [
        Step("verify", "verify", "checking the webhook", 0.0, verified),
        Step("history", "history", "reading the journal and waiting for an older turn", verified, begun),
    ]
    parts = [*_requests(record, end), *(_tool(call, end) for call in record.tools), *_stages(record, end)]
    return [*(wait for wait in waits if wait.ended_ms > wait.started_ms), *sorted(parts, key=lambda s: s.started_ms)]


def has_model(record: TurnRecord) -> bool:
    """Return whether the agent's own model was called. If not, the agent's own code has answered."""
    return "ttft" in record.timings or any(not call.stage for call in record.requests)


def _requests(record: TurnRecord, end: float) -> Iterator[Step]:
    if not record.requests and (first := record.timings.get("ttft")) is not None:
        # A record from an older version has only the time of the first token.
        retried = f" ({record.retries} retries)" if record.retries else ""
        label = f"the model's first token{retried}"
        yield Step("model", "model", label, record.timings.get("history", 0.0), first, model=record.model)
    own = sum(call.answers for call in record.requests)
    number = 0
    for call in record.requests:
        if call.stage:
            name = f"{call.stage}: {call.model}"
            yield _priced(Step("helper", name, f"the model {call.model} of a helper", *_times(call, end)), call)
            continue
        if not call.answers:
            label = f"a request to {call.model} whose duplicate answered first"
            yield _priced(Step("model", "model, lost", label, *_times(call, end), lost=True), call)
            continue
        number += 1
        name = f"model {number}" if number > 1 else "model"
        yield _priced(Step("model", name, _label(call, number, own), *_times(call, end)), call)


def _label(call: ModelCall, number: int, of: int) -> str:
    if call.status == "failed" and call.first_ms is None:
        return f"a failed request to {call.model or 'the model'}"
    if of == 1:
        return "the model request"
    return f"the {ORDINALS[number - 1]} model request" if number <= len(ORDINALS) else f"model request {number}"


def _priced(step: Step, call: ModelCall) -> Step:
    cost = cost_of(call)
    step.first_ms, step.status, step.model, step.usage = call.first_ms, call.status, call.model, dict(call.usage)
    step.cost, step.cost_is_partial = cost.known if call.usage else None, bool(cost.unknown)
    return step


def _tool(call: ToolCall, end: float) -> Step:
    return Step(
        "tool", call.name, f"the tool {call.name}", *_times(call, end), status=call.status, call_id=call.id
    )  # fmt: skip


def _stages(record: TurnRecord, end: float) -> Iterator[Step]:
    for stage in record.stages:
        # The stages and agents of a call are recorded as "stage order" and "agent billing".
        label = stage.name if stage.name.startswith(("stage ", "agent ")) else f"stage {stage.name}"
        yield Step("stage", stage.name, f"the {label}", *_times(stage, end), status=stage.status)


def _times(part: ModelCall | ToolCall | Stage, end: float) -> tuple[float, float]:
    return part.started_ms, max(part.started_ms, end if part.ended_ms is None else part.ended_ms)


def left_over(record: TurnRecord, steps: Sequence[Step], at_ms: float) -> tuple[str, str]:
    """Return the name and the label for the interval that begins at `at_ms` and that no step covers."""
    if record.status is not Status.RUNNING and not has_model(record):
        return "own code", "the agent's own code"
    if not record.requests and "ttft" in record.timings:
        # A record from an older version does not show what followed the first token.
        return "rest", "the rest of the answer"
    work = [step for step in steps if step.kind not in ("verify", "history")]
    if all(step.started_ms >= at_ms for step in work):
        return "prepare", "preparing the request"
    if all(step.started_ms < at_ms for step in work):
        return "finish", FINISHING
    return "between", "the agent's own code between the steps"
