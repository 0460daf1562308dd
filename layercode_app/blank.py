"""Detect blank text: text with only white space, zero-width and control characters, which no voice speaks."""

from __future__ import annotations

import re

_SILENT = (
    r"\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Spaces, controls, joiners, direction marks, fillers of several scripts, variation selectors and tags."""
_SPOKEN = re.compile(f"[^{_SILENT}]")


def is_blank(text: str) -> bool:
    """Return whether the text contains nothing that can be spoken or read."""
    return _SPOKEN.search(text) is None
