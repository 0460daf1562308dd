"""Text for PostgreSQL, which stores neither the character U+0000 nor its JSON escape.

U+0000 is stored as U+E000, a private character that texts do not use. A U+E000 that a text does use is stored
followed by U+E001, so every text is read back as it was written.
"""

from __future__ import annotations

import re

_NUL, _MARK, _OWN = "\0", "\ue000", "\ue000\ue001"
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_STORED_NUL = re.compile("\ue000(?!\ue001)")


def storable(text: str) -> str:
    """Return a text without U+0000, from which `restored` makes the text again."""
    if text.isascii() and _NUL not in text:
        return text
    return text.replace(_MARK, _OWN).replace(_NUL, _MARK)


def restored(text: str) -> str:
    """Return the text that `storable` was given."""
    return text if text.isascii() else _STORED_NUL.sub(_NUL, text).replace(_OWN, _MARK)


def storable_json(data: bytes) -> str:
    """Return JSON without the escape of U+0000, from which `restored_json` makes the JSON again."""
    text = data.decode()
    if _MARK in text:
        text = text.replace(_MARK, _OWN)
    return _ESCAPED_NUL.sub(rf"\1{_MARK}", text) if "\\u0000" in text else text


def restored_json(data: bytes) -> bytes:
    """Return the JSON that `storable_json` was given."""
    if _MARK.encode() not in data:
        return data
    return _STORED_NUL.sub(r"\\u0000", data.decode()).replace(_OWN, _MARK).encode()
