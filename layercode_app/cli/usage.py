"""Usage errors: they quote what was typed, which may have been pasted from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer.core import TyperGroup

from ..output.visible import visible_lines


class VisibleErrors(TyperGroup):
    """A group of commands whose usage errors cannot act on the terminal."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse the group's own options."""
        with _visible():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Parse and run a command."""
        with _visible():
            return super().invoke(ctx)


@contextmanager
def _visible() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Typer prints what this gives; the classes of such errors are not public.
        if told := getattr(error, "format_message", None):
            text = visible_lines(told())
            error.format_message = lambda: text  # type: ignore[attr-defined]
        raise
