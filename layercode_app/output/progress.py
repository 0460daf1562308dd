"""Progress bars on stderr, shown only on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .visible import shortened

LONGEST = 60


@contextmanager
def steps(what: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[], None]]:
    """Show a progress bar of `total` steps, unless `quiet`. Each call of the yielded function advances it one step."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


@contextmanager
def bytes_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show the progress of a download. The yielded function takes the number of received bytes and the total."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    described = TextColumn("{task.description}", markup=False)
    with Progress(described, BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(shortened(name, LONGEST), total=None)
        yield lambda have, whole: bar.update(task, completed=have, total=whole)
