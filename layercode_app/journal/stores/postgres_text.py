"""Text for PostgreSQL, which stores neither the character U+0000 nor its JSON escape.

U+0000 is stored as the private-use character U+E000. A U+E000 that is already in the text is stored as U+E000 U+E001,
so every text is read back as it was written.
"""

from __future__ import annotations

import re

_NUL, _MARK, _OWN = "\0", "\ue000", "\ue000\ue001"
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_STORED_NUL = re.compile("\ue000(?!\ue001)")


def storable(text: str) -> str:
    """Encode a text so that it contains no U+0000; `restored` decodes it."""
    if text.isascii() and _NUL not in text:
        return text
    return text.replace(_MARK, _OWN).replace(_NUL, _MARK)


def restored(text: str) -> str:
    """Decode a text that `storable` encoded."""
    return text if text.isascii() else _STORED_NUL.sub(_NUL, text).replace(_OWN, _MARK)


def storable_json(data: bytes) -> str:
    """Encode JSON so that it contains no escape of U+0000; `restored_json` decodes it."""
    text = data.decode()
    if _MARK in text:
        text = text.replace(_MARK, _OWN)
    return _ESCAPED_NUL.sub(rf"\1{_MARK}", text) if "\\u0000" in text else text


def restored_json(data: bytes) -> bytes:
    """Decode JSON that `storable_json` encoded."""
    if _MARK.encode() not in data:
        return data
    return _STORED_NUL.sub(r"\\u0000", data.decode()).replace(_OWN, _MARK).encode()
