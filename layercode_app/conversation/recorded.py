"""Record the outcomes, scores and counts of a turn. A value of a wrong type is logged, and the phone call goes on."""

from __future__ import annotations

from loguru import logger

from ..journal.record import Json, TurnRecord
from ..journal.review import REVIEW
from ..observability import metrics
from ..wellformed import Number, number_of

MAX_COUNTS = 100
"""The maximum number of counters in the record of one turn; further counters are left out of the record."""


def record_outcome(record: TurnRecord, name: str, value: Number | None) -> None:
    """Record an outcome. If its value is not a finite number, log an error and record the outcome without the value."""
    number = None if value is None else number_of(value)
    if value is not None and number is None:
        _refuse(f"turn.outcome({name!r}, value={value!r})", "a finite number, or None")
    record.outcomes.append({"name": name, "value": number})


def record_score(record: TurnRecord, name: str, value: Number | str | bool, comment: str | None) -> None:
    """Record a score if its value is a finite number, a text or a bool. Otherwise log an error.

    The name "review" is refused too.
    """
    given: Json = value if isinstance(value, str | bool) else number_of(value)
    if given is None:
        _refuse(f"turn.score({name!r}, {value!r})", "a finite number, a text, True or False")
        return
    if name == REVIEW:
        _refuse(f"turn.score({name!r}, {value!r})", "another name, because 'review' is a person's verdict on the call")
        return
    record.scores[name] = {"value": given, "comment": comment}


def record_count(record: TurnRecord, name: str, amount: Number, labels: dict[str, str]) -> None:
    """Increase a counter in the record and in the metrics. If the amount is not a finite number, only log an error."""
    number, counts = number_of(amount), record.counts
    if number is None:
        _refuse(f"turn.count({name!r}, {amount!r})", "a finite number")
        return
    for key in (name, *(f"{name},{label}={value}" for label, value in labels.items())):
        if key in counts or len(counts) < MAX_COUNTS:
            total = number_of(counts.get(key, 0) + number)
            # The sum of two very large numbers is infinite, and JSON cannot hold it.
            counts[key] = counts[key] if total is None else total
    metrics.count(name, number, **labels)


def _refuse(call: str, expected: str) -> None:
    logger.error("{}: expected {}, so the value is not recorded.", call, expected)
