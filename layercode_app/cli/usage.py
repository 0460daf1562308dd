"""Usage errors: suggest the command or option that was meant, and escape control characters of pasted input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer.core import TyperGroup

from ..nearest import nearest
from ..output.visible import visible_lines

OTHER_NAMES = {"create": "new", "init": "new", "serve": "run", "start": "run", "talk": "chat", "ls": "agents"}
"""Names that other tools use for our commands."""


class VisibleErrors(TyperGroup):
    """A command group whose usage errors contain no control characters and suggest the name that was meant."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse the options of the group. Improve the message of a usage error."""
        with _visible():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Parse and run a command. Improve the message of a usage error."""
        with _visible():
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command. If it is unknown, the error contains our own suggestion instead of Typer's."""
        self.suggest_commands = False
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:
            typed = args[0]
            named = OTHER_NAMES.get(typed, "")
            meant = named if named in self.commands else nearest(typed, self._shown(), beginnings=True)
            if meant and hasattr(error, "message"):
                error.message += f" Did you mean {meant!r}?"
            raise

    def _shown(self) -> list[str]:
        return [name for name, command in self.commands.items() if not command.hidden]


@contextmanager
def _visible() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        _suggest_option(error)
        # Typer prints the result of `format_message`. Replace this method on the error itself, because the classes of
        # usage errors are not public.
        if format_message := getattr(error, "format_message", None):
            text = visible_lines(format_message())
            error.format_message = lambda: text  # type: ignore[attr-defined]
        raise


def _suggest_option(error: Any) -> None:
    """Remove Typer's list of similar options. Add our own suggestion if an option is similar enough."""
    if not hasattr(error, "possibilities") or error.ctx is None:
        return
    known = [name for param in error.ctx.command.params for name in (*param.opts, *param.secondary_opts)]
    meant = nearest(error.option_name, [name for name in known if name.startswith("--")], beginnings=True)
    error.possibilities = ()
    error.message = f"No such option: {error.option_name}." + (f" Did you mean {meant}?" if meant else "")
