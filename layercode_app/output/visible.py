"""Make text safe to show: control characters and text direction marks become visible symbols.

The words, ids and metadata of a call are not trusted, and a prompt injection can make a model say anything. An escape
sequence can clear the screen or write the clipboard, a line end can forge a line, and a direction override can reverse
a line.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

_HIDDEN = (
    r"\u0000-\u001f\u007f-\u009f"  # C0 and C1 controls: each escape sequence begins with one
    r"\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # text direction, and zero-width characters
    r"\u2028\u2029\ufff9-\ufffb\ufffe\uffff"  # line and paragraph separators, annotations, noncharacters
    r"\ud800-\udfff\U000e0000-\U000e007f"  # lone surrogates; tag characters, which can hide words
)
_ANY = re.compile(f"[{_HIDDEN}]")
_EXCEPT_LINES = re.compile(f"(?![\n\t])[{_HIDDEN}]")
_LINE_END = re.compile("\r\n|[\r\u0085\u2028\u2029]")


def visible(text: object) -> str:
    """Return the text as one safe line. Line ends become symbols too."""
    shown = str(text)
    # Most text is printable, and this check is the fastest.
    return shown if shown.isprintable() else _ANY.sub(_symbol, shown)


def visible_lines(text: object, *, indent: str = "") -> str:
    """Return the text as safe lines. Line ends and tabs stay; each line after the first begins with `indent`.

    Use it only for text in its own block or page element, where a forged line cannot be taken for ours.
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    return _EXCEPT_LINES.sub(_symbol, _LINE_END.sub("\n", shown)).replace("\n", f"\n{indent}")


def shortened(text: object, most: int) -> str:
    """Return the text as one safe line of at most `most` characters."""
    shown = visible(text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def json_text(value: Any, *, indent: int | None = None, ensure_ascii: bool = False) -> str:
    """Return JSON for people and programs: letters of all languages unescaped, control characters escaped.

    With `ensure_ascii`, all characters outside ASCII are escaped. NaN and infinity, which are not JSON, become null.
    """
    dump = partial(json.dumps, indent=indent, ensure_ascii=ensure_ascii, default=str, allow_nan=False)
    try:
        text = dump(value)
    except ValueError:
        from ..wellformed import plain  # it imports orjson, which `--help` must not wait for

        text = dump(plain(value))
    return text if text.isprintable() else _EXCEPT_LINES.sub(_json_escape, text)


def _symbol(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"<U+{code:04X}>"


def _json_escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if not found[0].isascii() else f"\\u{ord(found[0]):04x}"
