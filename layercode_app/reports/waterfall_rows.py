"""Prepare a waterfall for drawing: rows of bars, and the marks of the first words.

The dev page and the page of `eval` draw these rows, so that both show a turn in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .figures import counted
from .steps import Step, StepKind
from .waterfall import Waterfall
from .words import Said

Color: TypeAlias = Literal["verify", "history", "model", "tool", "rest", "speech"]
"""A colour of `output/colors.css`."""
COLORS: dict[StepKind, Color] = {
    "verify": "verify",
    "history": "history",
    "model": "model",
    "helper": "model",
    "tool": "tool",
    "stage": "tool",
    "rest": "rest",
}
MOST_TICKS = 60
"""The largest number of pieces of speech that a row marks one by one."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar between two times. A pale bar is a wait: for a model's first token, or while a filler was spoken."""

    from_ms: float
    to_ms: float
    pale: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the chart. It shows a step, the fillers, or the speech of the answer.

    `took_ms` is the duration, except in the row of the answer's speech: there it is the time at which the speech began.
    """

    name: str
    label: str
    color: Color
    bars: list[Bar]
    took_ms: float
    status: str = "done"
    at: bool = False
    """Whether `took_ms` is a time since the request and not a duration."""
    ticks: list[float] = field(default_factory=list)
    """Times of single pieces of speech."""

    @property
    def from_ms(self) -> float:
        """When the first bar begins."""
        return self.bars[0].from_ms

    @property
    def to_ms(self) -> float:
        """When the last bar ends."""
        return self.bars[-1].to_ms


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at the time of the first word, or at the beginning of the answer or the apology.

    A turn has a second line if its first word belonged to a filler. The second line marks the answer or the apology.
    """

    name: Literal["first word", "answer", "apology"]
    at_ms: float


def rows_of(waterfall: Waterfall) -> list[Row]:
    """Return a row for each step, then one for the fillers and one for the speech of the answer, if there are any."""
    return [*map(_of_step, waterfall.steps), *map(_of_said, waterfall.said)]


def marks_of(waterfall: Waterfall) -> list[Mark]:
    """Return the marks; none for a silent turn."""
    return list(_marks(waterfall))


def _marks(waterfall: Waterfall) -> Iterator[Mark]:
    first, answer = waterfall.first_word_ms, waterfall.answer_ms
    if first is not None:
        yield Mark("first word", first)
    if answer is not None and answer > (first or 0.0):
        yield Mark("apology" if waterfall.apologised else "answer", answer)


def _of_step(step: Step) -> Row:
    took = step.own_ms if step.kind == "rest" else step.ended_ms - step.started_ms
    return Row(step.name, step.label, COLORS[step.kind], _bars(step), round(took, 3), step.status)


def _bars(step: Step) -> list[Bar]:
    if step.runs:
        return [Bar(*run) for run in step.runs]
    if step.first_ms is None:
        return [Bar(step.started_ms, step.ended_ms)]
    return [Bar(step.started_ms, step.first_ms, pale=True), Bar(step.first_ms, step.ended_ms)]


def _of_said(said: Said) -> Row:
    is_filler = said.name == "filler"
    bars = [Bar(*run, pale=is_filler) for run in said.runs]
    took = sum(bar.to_ms - bar.from_ms for bar in bars) if is_filler else said.at_ms[0]
    label = "a filler covered the wait" if is_filler else f"sent in {counted(len(said.at_ms), 'piece')}, to be spoken"
    every = -(-len(said.at_ms) // MOST_TICKS)
    return Row(said.name, label, "speech", bars, round(took, 3), at=not is_filler, ticks=said.at_ms[1:-1][::every])
