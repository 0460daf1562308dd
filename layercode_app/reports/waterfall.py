"""Build the waterfall of a turn: its steps, the time between them, the speech, and what the caller waited for.

Each millisecond of the turn is attributed to one step, so that the steps' `own_ms` add up to the turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from ..journal.record import Json, Status, TurnRecord
from .figures import duration, refused
from .steps import FINISHING, Step, end_of, left_over, steps_of
from .words import Said, answered_ms, gaps, is_apology, said_in

SLOW_MS = 1500.0
"""A turn is slow if its first speech takes at least this long: callers then ask whether the line is dead."""
LONG_MS = 500.0
"""An explanation names the longest part of a wait, and other parts of at least this length."""
QUICK_MS = 100.0
"""A shorter wait needs no verdict."""
_ORDER = {"model": 0, "tool": 0, "helper": 1, "stage": 2, "verify": 3, "history": 3}
"""The rank of each kind of step. Time that several steps cover is attributed to the step with the lowest number.

For example, if a helper runs in a tool, the time is attributed to the tool.
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The step that took the largest part of a wait.

    An example of `text` is `1.2 s of 2.4 s: the second model request`.
    """

    text: str
    window: str
    """The wait, such as `until the first word`."""
    others: tuple[str, ...] = ()
    """The other long steps of the wait, such as `0.8 s: the tool search`."""

    def __str__(self) -> str:
        return f"{self.text}{''.join(f'; {other}' for other in self.others)}."


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The steps and the speech of a turn; times in milliseconds since the request."""

    total_ms: float
    steps: list[Step]
    said: list[Said]
    first_word_ms: float | None
    answer_ms: float | None
    """When the first word of the answer was sent, not counting fillers."""
    apologised: bool
    """Whether an apology was spoken instead of an answer."""
    verdict: Verdict | None

    def to_json(self) -> dict[str, Json]:
        """Return the waterfall as JSON, for the dev page and `sessions explain --json`."""
        return asdict(self)


def waterfall_of(record: TurnRecord) -> Waterfall:
    """Return the waterfall of a turn. It shows no speech if the record was read without its frames."""
    end = end_of(record)
    steps = attributed(record, 0.0, end)
    answer = answered_ms(record)
    return Waterfall(
        end, steps, said_in(record, end), record.timings.get("ttfs"), answer, is_apology(record), verdict_of(record)
    )


def attributed(record: TurnRecord, start: float, end: float) -> list[Step]:
    """Return the steps, and extra steps for time that no step covers, in the order they began.

    `own_ms` of each step is the part of the time from `start` to `end` that is attributed to this step alone.
    """
    steps = steps_of(record)
    left: list[tuple[float, float]] = []
    for since, until in pairwise(_cuts(steps, start, end)):
        step = _step_of(steps, since, until)
        if step is not None:
            step.own_ms += until - since
        elif left and left[-1][1] == since:
            left[-1] = (left[-1][0], until)
        else:
            left.append((since, until))
    return sorted([*steps, *_left_over(record, steps, left)], key=lambda step: step.started_ms)


def _left_over(record: TurnRecord, steps: Sequence[Step], left: Sequence[tuple[float, float]]) -> list[Step]:
    """Return extra steps for `left`, the intervals that no step covers.

    All intervals with the same name, such as `between`, are joined in one step.
    """
    found: dict[str, Step] = {}
    for since, until in left:
        name, label = left_over(record, steps, since)
        step = found.setdefault(name, Step("rest", name, label, since, until))
        step.ended_ms, step.own_ms = until, step.own_ms + until - since
        step.runs.append((since, until))
    return list(found.values())


def _cuts(steps: Sequence[Step], start: float, end: float) -> list[float]:
    times = (at for step in steps for at in (step.started_ms, step.ended_ms))
    return sorted({start, end, *(at for at in times if start < at < end)})


def _step_of(steps: Sequence[Step], since: float, until: float) -> Step | None:
    """Return the step that covers this interval, or None.

    If several steps cover it, return the step with the lowest number in `_ORDER`. Among equal numbers, return the step
    that ends last.
    """
    running = [step for step in steps if step.started_ms <= since and until <= step.ended_ms]
    return min(running, key=lambda step: (_ORDER[step.kind], -step.ended_ms), default=None)


def verdict_of(record: TurnRecord) -> Verdict | None:
    """Return the step that took the largest part of the caller's longest wait.

    Return None if the turn still runs, if it was refused, or if the wait was short. The longest wait is the wait for
    the answer's first word, or a longer silence after that word. In a turn without an answer, it is the whole turn.
    """
    if record.status is Status.RUNNING or refused(record):
        return None
    start, end, window = _longest_wait(record)
    waits = waits_in(record, start, end)
    if end - start < QUICK_MS or not waits:
        return None
    (label, took), *others = waits
    text = f"{duration(took)} of {duration(end - start)}: {label}"
    return Verdict(text, window, tuple(f"{duration(ms)}: {what}" for what, ms in others if ms >= LONG_MS))


def _longest_wait(record: TurnRecord) -> tuple[float, float, str]:
    answer, first = answered_ms(record), record.timings.get("ttfs")
    if answer is None:
        return 0.0, end_of(record), "of the whole turn"
    of = " of the answer" if first is not None and first < answer else ""
    waits = [(0.0, answer, "until the apology" if is_apology(record) else f"until the first word{of}")]
    waits += [(a, b, f"of the silence after {duration(a)}") for a, b in pauses(record)]
    return max(waits, key=lambda wait: wait[1] - wait[0])


def pauses(record: TurnRecord) -> list[tuple[float, float]]:
    """Return the beginning and the end of each long silence after the first word of the answer.

    A silence is left out if the turn was being finished during most of it: everything had been said by then.
    """
    found = gaps(record, SLOW_MS)
    return [gap for gap in found if any(label != FINISHING for label, _ in waits_in(record, *gap)[:1])]


def waits_in(record: TurnRecord, start: float, end: float) -> list[tuple[str, float]]:
    """Return the milliseconds that each step took between two times, longest first.

    Steps with the same label are added up.
    """
    found: dict[str, float] = {}
    for step in attributed(record, start, end):
        if step.own_ms > 0:
            found[step.label] = found.get(step.label, 0.0) + step.own_ms
    return sorted(found.items(), key=lambda wait: -wait[1])
