"""Print to the terminal. Every command prints through this module, which makes control characters visible.

A line or a block of text is printed from parts. Each part is a text, or a pair of a text and its Rich style, such as
("late", "bold red"). No text is interpreted as markup.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from .visible import json_text, shortened, visible, visible_lines

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

Part: TypeAlias = str | tuple[str, str]
LONGEST_LABEL = 60
"""Maximum characters of a label, which may contain a name from outside."""
LEAST_INDENT = 4
"""Minimum indent of the second and later lines of a block, even if its label is shorter or empty."""
WIDE = 160
"""Width of tables and help, in columns, if the output goes to a file or another program."""
NARROWEST = 20
"""Minimum columns of a block's text on a narrow terminal."""
_reserved: list[TextIO] = []
"""The stream to print to while `sys.stdout` is redirected by `reserving_stdout`; empty otherwise."""


def replace_closed_streams() -> None:
    """Discard what is printed to a standard stream that was closed when the process started, such as with `>&-`."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115


def replace_unprintable() -> None:
    """Make the standard streams replace characters that they cannot encode, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@contextmanager
def printing_to_stderr() -> Iterator[None]:
    """In this block, send all output for stdout to stderr, because stdout carries a protocol."""
    with redirect_stdout(sys.stderr):
        yield


@contextmanager
def reserving_stdout() -> Iterator[None]:
    """Let only this module print to stdout in this block. The output of other code, such as agents, goes to stderr."""
    before, _reserved[:] = [*_reserved], [_stdout()]
    try:
        with printing_to_stderr():
            yield
    finally:
        _reserved[:] = before


def _stdout() -> TextIO:
    return _reserved[0] if _reserved else sys.stdout


def print_line(*parts: Part, err: bool = False, end: str = "\n") -> None:
    """Print one line. Line ends within it are shown as symbols; `print_block` keeps them."""
    console = make_console(err=err)
    console.print(assembled(parts, visible), end=end, soft_wrap=True)
    if end != "\n":
        console.file.flush()


def print_block(label: str, *parts: Part, style: str = "", err: bool = False, one_line: bool = False) -> None:
    """Print text after its label. Further lines are indented, so that none can look like another label.

    With `one_line`, line ends are shown as symbols.
    """
    from rich.text import Text

    console = make_console(err=err)
    text = assembled(parts, visible if one_line else visible_lines)
    text.expand_tabs(8)
    head = assembled([shortened(label, LONGEST_LABEL)], visible)
    hanging = " " * max(len(head), LEAST_INDENT)
    lines = list(text.split("\n", allow_blank=True))
    if console.is_terminal:
        # Wrap here: the terminal would continue a long line in the first column.
        width = max(console.width - len(hanging), NARROWEST)
        lines = [part for line in lines for part in line.wrap(console, width, overflow="fold") or [line]]
    for number, line in enumerate(lines):
        line.rstrip()
        console.print(Text.assemble(hanging if number else head, line), style=style, soft_wrap=True)


def print_from_signal_handler(text: str) -> None:
    """Print an ASCII line to stderr. The buffered streams may be in use when a signal arrives, so they are not used here."""
    os.write(2, f"{text}\n".encode("ascii"))


def columns() -> int:
    """Return the width for output to a file or another program: COLUMNS if it is set, else WIDE."""
    return shutil.get_terminal_size(fallback=(WIDE, 24)).columns


def on_terminal() -> bool:
    """Return whether stdout or stderr is a terminal."""
    return _stdout().isatty() or sys.stderr.isatty()


def width() -> int | None:
    """Return the width of the terminal; None if stdout is not a terminal."""
    console = make_console()
    return console.width if console.is_terminal else None


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print JSON. If stdout cannot encode the text, all characters outside ASCII are printed as JSON escapes."""
    text = json_text(value, indent=indent)
    _write((text if _encodable(text) == text else json_text(value, indent=indent, ensure_ascii=True)) + "\n")


def print_file(text: str) -> None:
    """Print a whole file, such as a page, for another program."""
    _write(visible_lines(text).rstrip("\n") + "\n")


def print_table(renderable: RenderableType) -> None:
    """Print a table that `table` returned."""
    make_console().print(renderable)


def ask(
    question: str, *, default: Any = None, hidden: bool = False, kind: Any = None, show_default: bool = True
) -> Any:
    """Ask a question on the terminal and return the answer."""
    import typer

    return typer.prompt(visible(question), default=default, hide_input=hidden, type=kind, show_default=show_default)


def confirm(question: str, *, default: bool = False, err: bool = False) -> None:
    """Ask a yes-or-no question. Raises typer.Abort if the answer is no."""
    import typer

    typer.confirm(visible(question), default=default, abort=True, err=err)


def read_key() -> str:
    """Read one key from the terminal, without Enter. A key that was pressed before this call is read too."""
    try:
        import termios
        import tty
    except ImportError:
        import typer

        return typer.getchar()
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor, termios.TCSANOW)  # not flushing, which would drop a key that was pressed early
    try:
        return os.read(descriptor, 1).decode("ascii", errors="replace")
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)


def answers() -> bool:
    """Return whether stdin and stdout are terminals, so that questions can be asked."""
    return sys.stdin.isatty() and _stdout().isatty()


def make_console(*, err: bool = False) -> Console:
    """Return a console that takes all text literally; without a terminal it is as wide as `columns()`."""
    from rich.console import Console

    # Without a file, Rich uses the current `sys.stdout` or `sys.stderr`.
    file = _reserved[0] if _reserved and not err else None
    console = Console(file=file, stderr=err, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = columns()
    return console


def assembled(parts: Iterable[Part], safe: Callable[[object], str]) -> Text:
    """Return the parts as one Rich text, each passed through `safe`."""
    from rich.text import Text

    pairs = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((_encodable(safe(text)), style) for text, style in pairs))


def _encodable(text: str) -> str:
    """Escape the characters that stdout cannot encode."""
    encoding = getattr(_stdout(), "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _write(text: str) -> None:
    """Print text that is safe already, without wrapping it."""
    _stdout().write(_encodable(text))
    _stdout().flush()
