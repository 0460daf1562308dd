"""Read lines from a terminal, with editing and a history of this chat, and without echo while the agent speaks."""

from __future__ import annotations

import asyncio
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .lines import tell_of_replaced

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.output import Output

LOCAL_FLAGS = 3
"""The index of the local flags in the list that `termios.tcgetattr` returns."""


class LineEditor:
    """Reads typed lines. Ctrl-C and Ctrl-D at the prompt end the input."""

    hint = "Ctrl-C interrupts; at the prompt it hangs up."

    def __init__(self) -> None:
        # Importing prompt_toolkit takes longer than a greeting, so it runs in a thread while the agent speaks.
        self._session = asyncio.ensure_future(asyncio.to_thread(_session))

    async def next(self) -> str | None:
        """Return the next line, of any length; None at the end. Log lines appear above the prompt."""
        session = await self._session
        from prompt_toolkit.patch_stdout import patch_stdout

        try:
            with patch_stdout(raw=True):
                line = await session.prompt_async(handle_sigint=False, set_exception_handler=False)
        except EOFError:
            return None
        return _whole(line)


@contextmanager
def open_editor() -> Iterator[LineEditor]:
    """Yield a line editor, and restore the terminal at the end."""
    with _no_echo():
        yield LineEditor()


def _session() -> PromptSession[str]:
    from prompt_toolkit import PromptSession

    from .keyboard import Keyboard

    return PromptSession(
        [("bold", "> ")],
        input=Keyboard(sys.stdin),
        output=_output(),
        interrupt_exception=EOFError,
        enable_suspend=True,
        reserve_space_for_menu=0,
    )


def _output() -> Output | None:
    """Return the terminal's output, or None if the terminal cannot move the cursor. None selects a plain prompt."""
    from prompt_toolkit.output import create_output
    from prompt_toolkit.output.vt100 import Vt100_Output
    from prompt_toolkit.utils import is_dumb_terminal

    if is_dumb_terminal():
        return None
    output = create_output()
    if isinstance(output, Vt100_Output):
        # Only menus need the query for the cursor position. A late answer to it would look like typed keys.
        output.enable_cpr = False
    return output


@contextmanager
def _no_echo() -> Iterator[None]:
    """Hide the characters that are typed while the agent speaks. They stay in the terminal for the next prompt."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    quiet = termios.tcgetattr(terminal)
    quiet[LOCAL_FLAGS] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(terminal, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


def _whole(line: str) -> str:
    """Return the line with each undecodable byte replaced. Print a note if a byte was replaced."""
    broken = next((place for place, letter in enumerate(line) if "\ud800" <= letter <= "\udfff"), None)
    if broken is None:
        return line
    tell_of_replaced("The line", ord(line[broken]) & 0xFF, broken + 1, sys.stdin.encoding)
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
