"""Read the fenced blocks in the pages of the documentation, with the marker that may stand above a block.

A marker is a comment on the line above the block. `<!-- skip: why it cannot run here -->` leaves the block out.
`<!-- continues -->` runs the block after the blocks before it, in the same module.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent

_FENCE = re.compile(
    r"^(?P<indent>[ ]*)(?:<!-- (?P<marker>[^\n]*?) -->\n(?P=indent))?```(?P<language>[\w-]*)[^\n]*\n(?P<code>.*?)^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A fenced block of a page, with its position and its marker."""

    page: str
    line: int
    language: str
    code: str
    marker: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def skipped(self) -> bool:
        return self.marker.startswith("skip")


def pages() -> list[Path]:
    """Return every page that a user reads."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(*languages: str) -> list[Block]:
    """Return every block in one of these languages."""
    return [
        block
        for page in pages()
        for block in blocks_of(page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8"))
        if block.language in languages
    ]


def blocks_of(page: str, text: str) -> Iterator[Block]:
    """Yield every fenced block of a page, including blocks in lists. `line` is the number of its first line of code."""
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        yield Block(page, line, match["language"], textwrap.dedent(match["code"]), match["marker"] or "")


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the words of each command in a shell block.

    In a `console` block, only the lines that begin with `$ ` are commands.
    """
    for line in block.code.replace("\\\n", " ").splitlines():
        if block.language == "console" and not line.startswith("$ "):
            continue
        words = shlex.split(line.removeprefix("$ "), comments=True)
        yield from _simple(words)


def _simple(words: list[str]) -> Iterator[list[str]]:
    """Yield each command between `|`, `||`, `&&`, `&` and `;`, without the variables that are assigned before it."""
    command: list[str] = []
    for word in [*words, ";"]:
        if word in {"|", "&&", "||", ";", "&"}:
            if command:
                yield command
            command = []
        elif command or not re.fullmatch(r"\w+=.*", word, re.DOTALL):
            command.append(word)
