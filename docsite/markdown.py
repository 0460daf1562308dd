"""Write the parts of a Markdown page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown in one line."""
    lines = [_row(head), _row(["---"] * len(head)), *(_row([_cell(text) for text in row]) for row in rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: object) -> str:
    """Return a text as inline code, also one with backticks."""
    plain = str(text).replace("\n", " ")
    return f"`` {plain} ``" if "`" in plain else f"`{plain}`"


def block(text: str, language: str = "") -> str:
    """Return a fenced block."""
    fence = "````" if "```" in text else "```"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def escaped(text: str) -> str:
    """Return plain prose that no browser reads as a tag."""
    return text.replace("<", "&lt;")
