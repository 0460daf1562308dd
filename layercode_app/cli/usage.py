"""Escape usage errors: they quote what was typed, which may contain pasted control characters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer.core import TyperGroup

from ..output.visible import visible_lines


class VisibleErrors(TyperGroup):
    """A command group whose usage errors have their control characters escaped."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse the options of the group."""
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
        # Typer prints what `format_message` returns; the classes of usage errors are not public.
        if format_message := getattr(error, "format_message", None):
            text = visible_lines(format_message())
            error.format_message = lambda: text  # type: ignore[attr-defined]
        raise
