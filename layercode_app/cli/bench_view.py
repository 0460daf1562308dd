"""What `bench` measured, on the console: a column per webhook, and what it is against the first one."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ..testing.bench.result import Result
from ..testing.bench.tables import Rows, figures, ratio_rows


def show(result: Result) -> None:
    """Print the tables and the notes."""
    console = Console()
    console.print(_table([result.label(one) for one in result.series], figures(result)))
    heads, rows = ratio_rows(result)
    if heads:
        console.print(Text(f"\nTimes that of {result.series[0].target}", "bold"))
        console.print(_table(heads, rows))
    for note in result.notes():
        console.print(Text(f"\n{note}", "dim"))


def _table(heads: Sequence[str], rows: Rows) -> Table:
    columns = [Column(Text(head.replace(", ", "\n")), justify="right", overflow="fold") for head in heads]
    table = Table(Column(no_wrap=True), *columns, box=None, pad_edge=False)
    for name, values in rows:
        table.add_row(name, *map(Text, values))
    return table
