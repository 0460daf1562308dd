"""A progress bar on stderr, where a person watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def steps(what: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[], None]]:
    """Show how many of so many steps are done; call what is given after each. Nothing is shown when `quiet`."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)
