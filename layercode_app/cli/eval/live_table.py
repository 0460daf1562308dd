"""The live table of `eval`: a row for each scenario, and a line with the time and the budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from ...journal.cost import dollars
from ...output.live import Line, cells_of, padded
from ...output.terminal import Part as Cell
from ...output.visible import shortened, visible
from ...reports.figures import counted
from .urgent_rows import count_others, most_urgent

if TYPE_CHECKING:
    from ...testing.evals.ledger import Ledger
    from ...testing.evals.progress import Progress, Row

NARROW = 72
"""On a narrower terminal, the table leaves out the passed runs, the costs, and names that are not needed."""
LEAST_NAME = 8
"""Minimum room, in characters, for a scenario's name."""
BESIDE, BESIDE_NARROW = 47, 31
"""The width of everything except the names, in characters: the figures, the turn, and the spaces between them."""
LEAST_FIGURE = {"runs": 5, "spent": 7}
"""Minimum width, in characters, of figures that grow during the evaluation."""
GAP = "  "
"""The space between two columns."""
AROUND = 2
"""The number of lines that are neither rows nor the text below: the head, and the line of the cursor."""


class LiveTable:
    """Draws the progress of an evaluation for a terminal of any size. The clock starts when the object is created.

    It pads its columns itself, because a Rich `Table` takes five times as long and the runs wait during each redraw.
    """

    def __init__(self, progress: Progress, ledger: Ledger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress, self._ledger, self._clock = progress, ledger, clock
        self._began = clock()

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the lines of the table, and below it the time, the progress and the cost.

        If there is no room for all scenarios, the running and failed ones are shown first.
        """
        rows = self._progress.rows
        below = wrap(self._line(), width)
        shown = most_urgent(rows, height - AROUND - len(below))
        if left := len(rows) - len(shown):
            shown = shown[: max(1, height - AROUND - len(below) - 1)]
            left = len(rows) - len(shown)
            below.insert(0, shortened(f"and {counted(left, 'more row')}: {count_others(rows, shown)}", width))
        lines = _table(shown, rows, width)
        lines += [[line] for line in below]
        return lines

    def _line(self) -> str:
        seconds = int(self._clock() - self._began)
        parts = [
            f"{seconds // 60}:{seconds % 60:02} elapsed",
            f"{self._progress.done} of {counted(self._progress.total, 'run')} finished",
            f"{dollars(self._ledger.spent)} spent",
        ]
        if (left := self._ledger.left) is not None:
            parts.append(f"{dollars(left)} of --max-cost left")
        return ", ".join(parts)


def _table(shown: Sequence[Row], rows: Sequence[Row], width: int) -> list[Line]:
    """Return the head and a line for each row.

    The column widths are calculated from all rows, so that they stay the same when other rows are shown.
    """
    narrow = width < NARROW
    names = _names(rows, narrow=narrow)
    room = max(LEAST_NAME, (width - (BESIDE_NARROW if narrow else BESIDE)) // len(names) - len(GAP))
    widths = [min(room, max(cells_of(name) for name in (head, *found))) for head, found in names.items()]
    figures = ("runs", "failed") if narrow else ("runs", "passed", "failed", "spent")
    at = {id(row): number for number, row in enumerate(rows)}
    cells: list[list[Cell]] = [[*names, *figures, "now"]]
    cells += [[*(found[at[id(row)]] for found in names.values()), *_figures(row, figures), _now(row)] for row in shown]
    least = [max(LEAST_FIGURE.get(head, 0), len(head)) for head in figures]
    longest = [
        max(least[n], *(len(line[len(names) + n][0]) for line in map(_pairs, cells))) for n in range(len(figures))
    ]
    return [_line_of(_pairs(line), widths, longest) for line in cells]


def _pairs(cells: Sequence[Cell]) -> list[tuple[str, str]]:
    return [(cell, "") if isinstance(cell, str) else cell for cell in cells]


def _line_of(pairs: Sequence[tuple[str, str]], names: Sequence[int], figures: Sequence[int]) -> Line:
    """Pad each cell except the last to the width of its column. Names are left-aligned, figures right-aligned."""
    line: Line = []
    for number, (text, style) in enumerate(pairs):
        if number < len(names):
            line.append((padded(text, names[number]) + GAP, style))
        elif number < len(pairs) - 1:
            line.append((text.rjust(figures[number - len(names)]) + GAP, style))
        else:
            line.append((text, style))
    return line


def _names(rows: Sequence[Row], *, narrow: bool) -> dict[str, list[str]]:
    """Return the columns that name a row: the scenario, and the agent and the model if there are several.

    A narrow terminal shows only the scenario if no two rows have the same scenario.
    """
    found = {
        "scenario": [visible(row.scenario) for row in rows],
        "agent": [visible(row.agent) for row in rows],
        "model": [visible(row.model) for row in rows],
    }
    alone = narrow and len(set(found["scenario"])) == len(rows)
    return {head: names for head, names in found.items() if head == "scenario" or (len(set(names)) > 1 and not alone)}


def _figures(row: Row, figures: Sequence[str]) -> list[Cell]:
    over = row.done >= row.total
    cells: dict[str, Cell] = {
        "runs": f"{row.done}/{row.total}",
        "passed": (str(row.passed), "green" if over and not row.failed else ""),
        "failed": (str(row.failed), "bold red" if row.failed else ""),
        "spent": dollars(row.spent),
    }
    return [cells[head] for head in figures]


def _now(row: Row) -> Cell:
    """Return how many runs are running and which turns they have reached, or why no run is running."""
    if turns := row.turns:
        first, last = max(1, turns[0]), max(1, turns[-1])
        at = f"turn {first}" if first == last else f"turns {first}-{last}"
        return at if len(turns) == 1 else f"{len(turns)} at {at}"
    if row.skipped:
        return (f"{row.skipped} not played", "red")
    if row.done >= row.total:
        return ("failed", "red") if row.failed else ("passed", "green")
    return ("waiting", "dim")
