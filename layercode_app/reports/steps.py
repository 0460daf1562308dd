"""Find the steps and spoken words of a turn in its record, to explain its silences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ..journal.record import TTS, ModelCall, Status, TurnRecord


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a turn; times in milliseconds since the request."""

    name: str
    started_ms: float
    ended_ms: float

    def within(self, start: float, end: float) -> float:
        """Return the milliseconds of this step between two times."""
        return max(min(self.ended_ms, end) - max(self.started_ms, start), 0.0)


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of speech that was sent; `at_ms` is in milliseconds since the request."""

    at_ms: float
    source: str
    text: str


def words_of(record: TurnRecord) -> list[Word]:
    """Return every piece that was sent to be spoken, with its source; empty for a record without frames."""
    frames = [frame for frame in record.frames if frame.type == TTS]
    runs = [(part.source, len(part.text)) for part in record.speech]
    words: list[Word] = []
    for frame in frames:
        while len(runs) > 1 and runs[0][1] <= 0:
            runs.pop(0)
        source, left = runs[0] if runs else ("model", 0)
        words.append(Word(frame.at_ms, source, str(frame.content)))
        if runs:
            runs[0] = source, left - len(str(frame.content))
    return words


def answered_ms(record: TurnRecord) -> float | None:
    """Return when the first word of the answer, fillers left out, was sent; None if none was.

    For a record without frames it is the time to first speech.
    """
    words = words_of(record)
    if not words:
        return record.timings.get("ttfs") if record.speech else None
    return next((word.at_ms for word in words if word.source != "filler"), None)


def gaps(record: TurnRecord, least_ms: float) -> list[tuple[float, float]]:
    """Return the silences of at least `least_ms` between pieces of the answer, and from the last to the turn's end."""
    times = [word.at_ms for word in words_of(record)]
    first = answered_ms(record)
    if first is None or not times:
        return []
    times = [at for at in times if at >= first]
    times.append(record.timings.get("total", times[-1]))
    return [(a, b) for a, b in pairwise(times) if b - a >= least_ms]


def steps_of(record: TurnRecord) -> list[Step]:
    """Return each step that took time: the journal, model requests in two parts, tools, stages, the agent's code."""
    end = record.timings.get("total") or max((step.ended_ms for step in _timed(record, 0.0)), default=0.0)
    begun = record.timings.get("history", 0.0)
    found = [Step("the journal and an older turn", 0.0, begun), *_timed(record, end)]
    own = [call for call in record.requests if not call.stage]
    if own or "ttft" in record.timings or record.status is Status.RUNNING:
        return found
    # Without a model of the turn, the agent's own code runs all the time; what it called has steps, too.
    return [*found, Step("the agent's own code", begun, end)]


def _timed(record: TurnRecord, end: float) -> Iterator[Step]:
    own = [call for call in record.requests if not call.stage]
    answering = [call for call in own if call.hedge not in ("lost", "slow")]
    for number, call in enumerate(answering, 1):
        yield from _request_steps(call, number, end)
    for call in own:
        if call.hedge in ("lost", "slow"):
            yield Step(f"a request to {call.model} that lost to another", call.started_ms, _ended(call.ended_ms, end))
    if not record.requests and (first := record.timings.get("ttft")) is not None:
        # A record of an older version has the time of the first token only.
        retried = f" ({record.retries} retries)" if record.retries else ""
        yield Step(f"the model's first token{retried}", record.timings.get("history", 0.0), first)
    for tool in record.tools:
        yield Step(f"the tool {tool.name}", tool.started_ms, _ended(tool.ended_ms, end))
    if not own:
        # With a model of the turn, stages run within tools or in parallel, as guards do.
        for stage in record.stages:
            yield Step(f"the stage {stage.name}", stage.started_ms, _ended(stage.ended_ms, end))
        for call in record.requests:
            yield Step(f"the model {call.model} of a helper", call.started_ms, _ended(call.ended_ms, end))


def _request_steps(call: ModelCall, number: int, end: float) -> Iterator[Step]:
    """Yield the wait for the first token and the rest of the answer, or one step for a request that failed before."""
    ended = _ended(call.ended_ms, end)
    if call.status == "failed" and call.first_ms is None:
        yield Step(f"a failed request to {call.model or 'the model'}", call.started_ms, ended)
        return
    of = "the model's first token" if number == 1 else f"the first token of model request {number}"
    first = call.first_ms if call.first_ms is not None else ended
    yield Step(of, call.started_ms, first)
    if first < ended:
        yield Step(f"the rest of model request {number}", first, ended)


def _ended(ended_ms: float | None, end: float) -> float:
    return end if ended_ms is None else ended_ms
