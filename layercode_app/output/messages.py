"""Escape text for mail and chat: services interpret mentions, links and markup even in plain text."""

from __future__ import annotations

import re

from .visible import visible_lines

_MENTION = re.compile(r"(?<!\w)@(?=\w)")
_LINK = re.compile(r"<(?=[!@#/a-zA-Z])")
_NAMED = re.compile(r"\](?=\()")


def defused(text: str) -> str:
    """Return the text with control characters, mentions (`@everyone`, `<!channel>`) and named links disabled."""
    unlinked = _NAMED.sub("] ", _LINK.sub("\u2039", visible_lines(text)))
    return _MENTION.sub("\uff20", unlinked)
