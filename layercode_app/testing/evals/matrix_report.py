"""Show the matrix of interruptions: how often each agent passes with each kind of interruption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...output.tables import Cell, plain_table
from ...output.terminal import print_line, print_table
from .played import Played
from .simulated.drill import DRILLS, SEPARATOR


def matrix_rows(played: Sequence[Played]) -> list[dict[str, Any]]:
    """Count the runs with each kind of interruption, for each agent, model and scenario.

    `broke_in` is the number of runs in which a reply was interrupted, and `survived` is how many of these runs passed.
    """
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for one in played:
        scenario, _, kind = one.scenario.rpartition(SEPARATOR)
        if not scenario or kind not in DRILLS:
            continue
        made = {"agent": one.agent, "model": one.model, "scenario": scenario, "interruptions": {}}
        row = rows.setdefault((one.agent, one.model, scenario), made)
        cell = row["interruptions"].setdefault(kind, {"passed": 0, "runs": 0, "broke_in": 0, "survived": 0})
        cell["passed"] += one.passed
        cell["runs"] += 1
        cell["broke_in"] += one.interruptions > 0
        cell["survived"] += one.interruptions > 0 and one.passed
    return list(rows.values())


def show_matrix(rows: Sequence[dict[str, Any]]) -> None:
    """Print, for each kind of interruption, how many of the interrupted runs passed.

    A dash means that no reply was interrupted in this way, because no reply was long enough or, for the kind `within a
    tool`, because no reply called a tool.
    """
    _, heads, cells = matrix_table(rows)
    print_line()
    print_table(plain_table(heads, [[kind, *map(_colored, found)] for kind, *found in cells]))


def matrix_table(rows: Sequence[dict[str, Any]]) -> tuple[str, list[str], list[list[str]]]:
    """Return the title, the column headings and the rows of the table, for a page."""
    heads = ["interruption", *(f"{row['agent']} {row['model']}".strip() + f": {row['scenario']}" for row in rows)]
    return "Interruptions survived", heads, [[kind, *(_cell(row, kind) for row in rows)] for kind in DRILLS]


def _cell(row: dict[str, Any], kind: str) -> str:
    cell = row["interruptions"].get(kind)
    return f"{cell['survived']}/{cell['broke_in']}" if cell and cell["broke_in"] else "-"


def _colored(cell: str) -> Cell:
    passed, _, runs = cell.partition("/")
    return (cell, "green" if passed == runs else "red") if runs else cell
