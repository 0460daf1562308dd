"""Choose the rows of the live table of `eval` if the terminal is too small for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...testing.evals.progress import Row


def most_urgent(rows: Sequence[Row], most: int) -> list[Row]:
    """Return the rows to show, at most `most`.

    If there is no room for all rows, running rows are preferred, then failed, then waiting, and then passed rows.
    """
    if len(rows) <= most:
        return list(rows)
    return sorted(rows, key=_urgency)[: max(1, most)]


def _urgency(row: Row) -> int:
    if row.running:
        return 0
    if row.failed:
        return 1
    return 3 if row.done >= row.total else 2


def count_others(rows: Sequence[Row], shown: Sequence[Row]) -> str:
    """Return the number of hidden rows with each status, such as `3 waiting, 80 passed`."""
    hidden = [_urgency(row) for row in rows if not any(row is one for one in shown)]
    names = ("running", "failed", "waiting", "passed")
    return ", ".join(f"{hidden.count(at)} {name}" for at, name in enumerate(names) if at in hidden)
