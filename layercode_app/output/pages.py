"""Protect HTML files with a Content-Security-Policy that allows only their own scripts and styles."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

_INLINE = re.compile(r'<(script|style)(?: type="module")?>(.*?)</\1>', re.DOTALL)
_HEAD = '<meta charset="utf-8">'
_ALWAYS = "default-src 'none'; base-uri 'none'; form-action 'none'"


def sealed(page: str, *, more: str = "") -> str:
    """Add to a page a Content-Security-Policy that allows only the page's own inline scripts and styles, by hash.

    Escape all text from outside before this call. `more` is appended to the policy.
    """
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in _INLINE.findall(page):
        hashes[kind].append(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'")
    rules = [_ALWAYS, *(f"{kind}-src {' '.join(found)}" for kind, found in hashes.items() if found), more]
    policy = "; ".join(filter(None, rules))
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return page.replace(_HEAD, f"{_HEAD}\n{meta}", 1)


def embedded(json: str) -> str:
    """Escape JSON so that it cannot end the HTML element that contains it."""
    return json.replace("<", "\\u003c")
