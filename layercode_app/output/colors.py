"""The colours of every page: the dev page, exported calls, and the pages that commands write."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("colors.css")


@cache
def colors() -> str:
    """Return the style sheet that defines the colours as custom properties, for light and dark mode."""
    return FILE.read_text(encoding="utf-8")
