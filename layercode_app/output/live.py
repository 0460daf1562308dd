"""A view on the terminal that is redrawn while a command works, and removed at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from .terminal import Part, assembled, make_console
from .visible import visible

if TYPE_CHECKING:
    from rich.console import RenderableType

Line: TypeAlias = list[Part]
"""The parts of one line."""
REDRAWS_PER_SECOND = 4
"""This rate is high enough to follow the work, and low enough to cost no noticeable time."""


def can_redraw() -> bool:
    """Return whether stdout is a terminal that can redraw lines: not a pipe, and not a dumb terminal."""
    out = make_console()
    return sys.stdout.isatty() and out.is_interactive and not out.is_dumb_terminal


@contextmanager
def live_view(draw: Callable[[int, int], Sequence[Line]]) -> Iterator[None]:
    """Show lines on stdout until the block ends, then remove them. Lines that are too long are cut.

    `draw` gets the width and height of the terminal and returns the lines to show. A thread calls it, so the view is
    redrawn even while the block keeps the event loop busy. Other output of the block appears above the view.
    """
    from rich.live import Live

    out = make_console()

    def view() -> RenderableType:
        from rich.text import Text

        lines = [assembled(line, visible) for line in draw(*out.size)]
        for line in lines:
            line.truncate(out.width, overflow="ellipsis")
        return Text("\n", end="", no_wrap=True).join(lines)

    with Live(
        get_renderable=view,
        console=out,
        transient=True,
        refresh_per_second=REDRAWS_PER_SECOND,
        vertical_overflow="crop",
    ):
        yield


def cells_of(text: str) -> int:
    """Return the width of a text in columns of the terminal. Some characters are two columns wide."""
    from rich.cells import cell_len

    return cell_len(text)


def padded(text: str, width: int) -> str:
    """Return the text with exactly this many columns: padded with spaces, or cut and ended with an ellipsis."""
    from rich.cells import set_cell_size

    return set_cell_size(text, width) if cells_of(text) <= width else set_cell_size(text, width - 1) + "…"
