"""Print an agent's words piece by piece, wrapped and indented so that they do not look like our own output."""

from __future__ import annotations

import re

from .terminal import print_line, width
from .visible import visible_lines

_WORDS = re.compile(r"\n|[^\s]+|[^\S\n]+")


class Paragraph:
    """A paragraph that is printed in pieces; `end` ends its line."""

    def __init__(self, indent: str = "    ") -> None:
        self._indent = indent
        self._width = width()
        self._column = 0

    def write(self, piece: str) -> None:
        """Print a piece of text immediately, wrapped at the width of the terminal."""
        for word in _WORDS.findall(visible_lines(piece)):
            self._print(word)

    def _print(self, word: str) -> None:
        from rich.cells import cell_len

        if word == "\n":
            self._break()
            return
        while self._width and self._column + cell_len(word) > self._width:
            room = self._width - self._column
            # Cut the word only if it is longer than a line. Otherwise, move all of it to the next line.
            cut = room if cell_len(word) > self._width - len(self._indent) else 0
            print_line(word[:cut].rstrip(), end="")
            self._break()
            word = word[cut:].lstrip()
        print_line(word, end="")
        self._column += cell_len(word)

    def _break(self) -> None:
        print_line()
        print_line(self._indent, end="")
        self._column = len(self._indent)

    def end(self) -> None:
        """End the line."""
        print_line()
        self._column = 0
