"""Text for mail and chat: services read mentions, links and markup even in what is sent as plain text."""

from __future__ import annotations

import re

from .visible import visible_lines

_MENTION = re.compile(r"(?<!\w)@(?=\w)")
_LINK = re.compile(r"<(?=[!@#/a-zA-Z])")
_NAMED = re.compile(r"\](?=\()")


def defused(text: str) -> str:
    """The text without controls, mentions (`@everyone`, `<!channel>`) and links under another name."""
    unlinked = _NAMED.sub("] ", _LINK.sub("\u2039", visible_lines(text)))
    return _MENTION.sub("\uff20", unlinked)
