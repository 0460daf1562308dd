"""Find the spoken words of a turn in its record: when each was sent, by which source, and where there was silence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Literal

from ..journal.record import TTS, TurnRecord

GAP_MS = 500.0
"""If the pause between two pieces is longer than this, a new run of speech begins."""


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of speech. The frame with the index `frame` contains it, and was sent `at_ms` ms after the request."""

    at_ms: float
    source: str
    text: str
    frame: int = 0


@dataclass(slots=True)
class Said:
    """A row of the waterfall chart: the intervals in which the answer was sent, or the intervals that fillers covered."""

    name: Literal["filler", "speech"]
    runs: list[tuple[float, float]]
    at_ms: list[float] = field(default_factory=list)
    """When each piece was sent."""
    frame: int = 0
    """The index of its first frame."""


def words_of(record: TurnRecord) -> list[Word]:
    """Return every piece of text that was sent to be spoken; an empty list for a record without frames.

    The `source` of a piece says where it came from, such as "model" or "filler".
    """
    runs = [(part.source, len(part.text)) for part in record.speech]
    words: list[Word] = []
    for place, frame in enumerate(record.frames):
        if frame.type != TTS:
            continue
        while len(runs) > 1 and runs[0][1] <= 0:
            runs.pop(0)
        source, left = runs[0] if runs else ("model", 0)
        words.append(Word(frame.at_ms, source, str(frame.content), place))
        if runs:
            runs[0] = source, left - len(str(frame.content))
    return words


def answered_ms(record: TurnRecord) -> float | None:
    """Return when the first word of the answer was sent, not counting fillers; None if there was no answer.

    For a record without frames it is the time to first speech.
    """
    words = words_of(record)
    if not words:
        return record.timings.get("ttfs") if record.speech else None
    return next((word.at_ms for word in words if word.source != "filler"), None)


def is_apology(record: TurnRecord) -> bool:
    """Return whether the first words, not counting fillers, were an apology instead of an answer."""
    return next((part.source for part in record.speech if part.source != "filler"), "") == "apology"


def gaps(record: TurnRecord, least_ms: float) -> list[tuple[float, float]]:
    """Return the silences of at least `least_ms` from the first word of the answer to the end of the turn."""
    times = [word.at_ms for word in words_of(record)]
    first = answered_ms(record)
    if first is None or not times:
        return []
    times = [at for at in times if at >= first]
    times.append(record.timings.get("total", times[-1]))
    return [(a, b) for a, b in pairwise(times) if b - a >= least_ms]


def said_in(record: TurnRecord, end: float) -> list[Said]:
    """Return the rows of the waterfall chart that show speech: the row of the fillers, then the row of the answer.

    A row without words is left out. Where the answer pauses for longer than `GAP_MS`, its row has a gap.
    """
    words = words_of(record)
    fillers = [word for word in words if word.source == "filler"]
    answer = [word for word in words if word.source != "filler"]
    rows = []
    if fillers:
        rows.append(Said("filler", _covered(words, end), [word.at_ms for word in fillers], fillers[0].frame))
    if answer:
        times = [word.at_ms for word in answer]
        rows.append(Said("speech", _split(times), times, answer[0].frame))
    return rows


def _covered(words: Iterable[Word], end: float) -> list[tuple[float, float]]:
    """Return the intervals that fillers cover: each lasts from a filler to the next word of the answer, or to `end`."""
    groups = [(source, next(group).at_ms) for source, group in groupby(words, lambda word: word.source == "filler")]
    ends = [at for _, at in groups[1:]] + [end]
    return [(at, until) for (is_filler, at), until in zip(groups, ends, strict=True) if is_filler]


def _split(times: list[float]) -> list[tuple[float, float]]:
    runs = [(times[0], times[0])]
    for at in times[1:]:
        start, last = runs[-1]
        if at - last > GAP_MS:
            runs.append((at, at))
        else:
            runs[-1] = (start, at)
    return runs
