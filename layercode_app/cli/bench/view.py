"""Print the result of `bench`: one column per target, and its ratio to the first target."""

from __future__ import annotations

from collections.abc import Sequence

from ...output.tables import column, plain_table
from ...output.terminal import print_line, print_table
from ...testing.bench.result import Result
from ...testing.bench.tables import Rows, figures, ratio_rows


def show(result: Result) -> None:
    """Print the tables of figures and ratios, and the notes."""
    _show([result.label(one) for one in result.series], figures(result))
    heads, rows = ratio_rows(result)
    if heads:
        print_line()
        print_line((f"Relative to {result.series[0].target}", "bold"))
        _show(heads, rows)
    for note in result.notes():
        print_line()
        print_line((note, "dim"))


def _show(heads: Sequence[str], rows: Rows) -> None:
    columns = [column(head.replace(", ", "\n"), lines=True, justify="right", overflow="fold") for head in heads]
    print_table(plain_table([column(no_wrap=True), *columns], [[name, *values] for name, values in rows]))
