"""Write the parts of a Markdown page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table. The cells are Markdown; line breaks in a cell become spaces."""
    lines = [_row(head), _row(["---"] * len(head)), *(_row([_cell(text) for text in row]) for row in rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: object) -> str:
    """Return a text as inline code. The text may contain backticks."""
    plain = str(text).replace("\n", " ")
    return f"`` {plain} ``" if "`" in plain else f"`{plain}`"


def block(text: str, language: str = "") -> str:
    """Return a fenced code block."""
    fence = "````" if "```" in text else "```"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def escaped(text: str) -> str:
    """Escape plain prose, so that no browser reads a part of it as a tag."""
    return text.replace("<", "&lt;")
