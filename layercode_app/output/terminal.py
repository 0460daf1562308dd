"""The one way to print: every command writes to the terminal through this module, and no text can act there.

A part is text, or text with a style of Rich's, such as ("late", "bold red"). No text is read as markup.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from .visible import json_text, shortened, visible, visible_lines

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

Part: TypeAlias = str | tuple[str, str]
LONGEST_LABEL = 60
"""A label may hold a name that is not ours."""
LEAST_INDENT = 4
"""Columns before the further lines of a block, whose label may be shorter or empty."""
NARROWEST = 20
"""Columns that a block keeps beside its label on a narrow terminal."""


def replace_unprintable() -> None:
    """Let the standard streams replace a character that they cannot encode, where they would raise."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def print_line(*parts: Part, err: bool = False, end: str = "\n") -> None:
    """Print one line. A line end in it is shown as a symbol; `print_block` keeps them."""
    console = _console(err=err)
    console.print(assembled(parts, visible), end=end, soft_wrap=True)
    if end != "\n":
        console.file.flush()


def print_block(label: str, *parts: Part, style: str = "", err: bool = False, one_line: bool = False) -> None:
    """Print text after its label. Its further lines are indented, so that none can pass for another label.

    With `one_line` a line end in it is shown as a symbol.
    """
    from rich.text import Text

    console = _console(err=err)
    text = assembled(parts, visible if one_line else visible_lines)
    text.expand_tabs(8)
    head = assembled([shortened(label, LONGEST_LABEL)], visible)
    hanging = " " * max(len(head), LEAST_INDENT)
    lines = list(text.split("\n", allow_blank=True))
    if console.is_terminal:
        # A line that the terminal itself would wrap goes on in its first column.
        width = max(console.width - len(hanging), NARROWEST)
        lines = [part for line in lines for part in line.wrap(console, width, overflow="fold") or [line]]
    for number, line in enumerate(lines):
        line.rstrip()
        console.print(Text.assemble(hanging if number else head, line), style=style, soft_wrap=True)


def width() -> int | None:
    """The columns of the terminal; None where stdout is none."""
    console = _console()
    return console.width if console.is_terminal else None


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print JSON, which stays JSON on a terminal of another encoding than UTF-8."""
    text = json_text(value, indent=indent)
    _write((text if _encodable(text) == text else json.dumps(value, indent=indent, default=str)) + "\n")


def print_file(text: str) -> None:
    """Print a whole file, such as a page, to a program that reads it."""
    _write(visible_lines(text).rstrip("\n") + "\n")


def print_table(renderable: RenderableType) -> None:
    """Print a table, made by `table`."""
    _console().print(renderable)


def ask(
    question: str, *, default: Any = None, hidden: bool = False, kind: Any = None, show_default: bool = True
) -> Any:
    """Ask on the terminal."""
    import typer

    return typer.prompt(visible(question), default=default, hide_input=hidden, type=kind, show_default=show_default)


def confirm(question: str, *, default: bool = False, err: bool = False) -> None:
    """Ask for a yes. Raises typer.Abort on a no."""
    import typer

    typer.confirm(visible(question), default=default, abort=True, err=err)


def answers() -> bool:
    """Whether a person is at the terminal, who can answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _console(*, err: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=err, highlight=False, markup=False, emoji=False)


def assembled(parts: Iterable[Part], safe: Callable[[object], str]) -> Text:
    """The parts as one text of Rich's, each made safe."""
    from rich.text import Text

    pairs = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((_encodable(safe(text)), style) for text, style in pairs))


def _encodable(text: str) -> str:
    """The text as a terminal of another encoding than UTF-8 can show it."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _write(text: str) -> None:
    """Print text that is safe already, whole and unwrapped."""
    sys.stdout.write(_encodable(text))
    sys.stdout.flush()
