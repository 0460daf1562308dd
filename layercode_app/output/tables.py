"""Tables for the terminal: every head and cell is text, never markup."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from .terminal import Part, assembled
from .visible import visible, visible_lines

if TYPE_CHECKING:
    from rich.table import Column as Column
    from rich.table import Table as Table
    from rich.text import Text

Cell: TypeAlias = Part | list[Part]
"""Text, text with a style, or a list of these to concatenate."""


def column(head: str = "", *, lines: bool = False, **options: Any) -> Column:
    """Return a column. `lines` lets its head have several lines; `options` are Rich's, such as `justify`."""
    from rich.table import Column

    return Column(_text(head, lines=lines), **options)


def table(
    columns: Iterable[Column | str], rows: Iterable[Sequence[Cell]], *, lines: bool = False, **options: Any
) -> Table:
    """Return a table. With `lines`, rules are drawn between the rows, and cells may have several lines."""
    from rich.table import Table

    heads = [column(one) if isinstance(one, str) else one for one in columns]
    if title := options.pop("title", None):
        options["title"] = _text(title)
    made = Table(*heads, show_lines=lines, **options)
    for row in rows:
        made.add_row(*(_text(cell, lines=lines) for cell in row))
    return made


def plain_table(columns: Iterable[Column | str], rows: Iterable[Sequence[Cell]], **options: Any) -> Table:
    """Return a table without borders or lines."""
    return table(columns, rows, box=None, pad_edge=False, **options)


def titled_table(title: str, columns: Iterable[Column | str], rows: Iterable[Sequence[Cell]]) -> Table:
    """Return a table with a title, and with a line below its column heads."""
    from rich import box

    look: Any = {"title_justify": "left", "box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False}
    return table(columns, rows, title=title, **look)


def as_lines(parts: Iterable[str | Table], *, width: int) -> str:
    """Render lines and tables as plain text, for a message."""
    from rich.console import Console

    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None, highlight=False)
    for part in parts:
        console.print(assembled([part], visible) if isinstance(part, str) else part)
    return out.getvalue()


def _text(cell: Cell, *, lines: bool = False) -> Text:
    return assembled(cell if isinstance(cell, list) else [cell], visible_lines if lines else visible)
