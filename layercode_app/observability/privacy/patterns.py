"""Find texts that look like a secret, such as `password=…`, or like a phone number, and mask them.

A quick check comes before each pattern, so that a clean log line costs little. No pattern takes more than linear time,
because a caller or a model may choose the text.
"""

from __future__ import annotations

import re

from .caller_secrets import SECRET_NAMES

MASK = "[redacted]"

_NAMES = "|".join(SECRET_NAMES)
_PASSWORDS = "password|passwd|passphrase"
_SPACES = r" \u00a0\u2007\u202f"
_DASHES = r"\-\u2010-\u2015\u2212"
_APART = rf"{_SPACES}{_DASHES}().\u2024"
"""Characters that may stand between the digits of a phone number. Models write other dashes than people."""

# A plus sign may be percent-encoded in a URL.
_PHONE = re.compile(rf"((?:[+\uff0b]|%2[bB])\d)[\d{_APART}/]{{6,}}(\d\d)")
_PHONE_WITH_00 = re.compile(rf"(00(?<![\w./:\-]00)[1-9])[\d{_APART}]{{7,18}}(\d\d)(?![\w/\-])")
_PHONE_IN_PAIRS = re.compile(rf"0(?<![\w./:\-]0)\d([.{_SPACES}{_DASHES}])\d\d(?:\1\d\d){{3}}(?![\w/:\-]|[.]\d)")
_LOCAL_PHONE = re.compile(rf"\(?\d{{3}}\)?[.{_SPACES}{_DASHES}]{{1,2}}\d{{3}}[.{_SPACES}{_DASHES}]\d{{4}}(?!\d)")
_LOCAL_PHONE_END = re.compile(rf"\d[.{_SPACES}{_DASHES}]\d{{4}}(?!\d)")
"""Matches the end of a phone number. This search comes first: it is twenty times faster than one for a whole number."""
_PHONE_END = re.compile(r"[-. ][0-9]{4}(?![0-9])")
"""The end of a phone number in ASCII text. The first character is rare in ids, so a search in ids is fast."""

_IS = rf"(?:{_NAMES})s?\\*['\"]?\s{{0,9}}[:=]\s{{0,9}}"
_END = r"(?<!\\)(?:\2|\"\s*(?:[,}\]:]|$))"
_QUOTED = re.compile(rf"({_IS}(\\*['\"]))(?:(?!{_END}).){{1,9999}}", re.IGNORECASE | re.DOTALL)
"""Matches a named secret in quotes, up to the closing quotes, or to the end of the JSON string that contains it.

Within JSON in JSON, quotes have backslashes.
"""
_LISTED = re.compile(
    rf"((?:{_NAMES})s?\\*['\"]\s{{0,9}}:\s{{0,9}}\[\s{{0,9}}(\\*['\"]))[^\]]{{1,999}}?(\2\s{{0,9}}\])", re.IGNORECASE
)
_NUMBER = re.compile(rf"((?:{_NAMES})(\\*['\"])\s{{0,9}}:\s{{0,9}})\d{{6,99}}(?![\w.])", re.IGNORECASE)
_ASSIGNED = re.compile(rf"((?:{_NAMES})\s{{0,9}}=\s{{0,9}})[^\s'\"&,;\\]*[^\W_][^\s'\"&,;)\\]*", re.IGNORECASE)
"""Matches `token=VALUE` and the like. The value has a letter or a digit, and does not include a closing bracket."""
_HEADER = re.compile(
    rf"((?!token)(?:{_NAMES})\s{{0,9}}:[ \t]{{1,9}})(?=[^\s'\",;\\]{{0,99}}\d)[^\s'\",;\\]{{4,}}", re.IGNORECASE
)
"""Matches `x-api-key: VALUE`. The value must have a digit, because a value without one may be an ordinary word.

`token: VALUE` is not matched, because even a value with a digit may be ordinary text there.
"""
_LAST = re.compile(
    rf"((?:{_PASSWORDS})\s{{0,9}}:[ \t]{{1,9}})[^\s'\",;\\()\[\]]{{4,}}(?=[ \t]{{0,9}}$)", re.IGNORECASE | re.MULTILINE
)
"""Matches `password: VALUE` at the end of a line."""
_SCHEME = re.compile(
    r"(authorization\\*['\"]?\s{0,9}[:=]\s{0,9}\\*['\"]?(?:basic|digest|negotiate|token|apikey)\s{1,9})[^\s'\",;\\]+",
    re.IGNORECASE,
)
_NAMED = (
    (_SCHEME, rf"\1{MASK}"),
    (_QUOTED, rf"\1{MASK}"),
    (_LISTED, rf"\1{MASK}\3"),
    (_NUMBER, rf"\1\2{MASK}\2"),
    (_ASSIGNED, rf"\1{MASK}"),
    (_HEADER, rf"\1{MASK}"),
    (_LAST, rf"\1{MASK}"),
)
"""Each row: a pattern that matches a name and its secret, and the replacement. The first matching row is used."""
_NAME = re.compile(_NAMES, re.IGNORECASE)

_BEARER = re.compile(r"(bearer\s+)[\w.~+/=-]+", re.IGNORECASE)
_SIGNATURE = re.compile(r"(v1=)[0-9a-fA-F]{16,}")
_PROVIDER_KEY = re.compile(r"\b(?:sk|pk|rk|xox[abp]|gh[pousr]|pylf_v\d)[-_][\w-]{12,}")
_URL_USER = re.compile(r"(://)[^/\s@\"']+@")
_FORMS = (
    ("@", _URL_USER, rf"\1{MASK}@"),
    ("v1=", _SIGNATURE, rf"\1{MASK}"),
    ("bearer", _BEARER, rf"\1{MASK}"),
    *((hint, _PROVIDER_KEY, MASK) for hint in ("sk-", "pk-", "rk-", "sk_", "pk_", "rk_", "xox", "gh", "pylf_")),
)
"""Each row: a lower-case text to search first, the pattern to replace if that text is found, and the replacement."""
_SIGNS = ("+", '"', "=", "@", " ", ":", "%2", "k-", "k_", "xox", "gh", "pylf_")
"""An ASCII text without any of these signs contains nothing to mask, except perhaps a phone number."""


def without_phones(text: str) -> str:
    """Mask phone numbers in a text."""
    if "+" in text or "\uff0b" in text or "%2" in text:
        text = _PHONE.sub(r"\1…\2", text)
    if _LOCAL_PHONE_END.search(text):
        text = _LOCAL_PHONE.sub("[phone]", text)
    if "00" in text:
        text = _PHONE_WITH_00.sub(r"\1…\2", text)
    return _PHONE_IN_PAIRS.sub("[phone]", text)


def without_secrets(text: str) -> str:
    """Mask the parts of a text that look like a secret.

    A part looks like a secret if it follows the name of a secret, as in `password=…`, or if it has the form of a
    secret, as in `Bearer …`.
    """
    lowered = text.lower()
    if any(map(lowered.__contains__, SECRET_NAMES)) and (":" in text or "=" in text):
        text = _without_named(text, lowered)
    for hint, pattern, by in _FORMS:
        if hint in lowered:
            text = pattern.sub(by, text)
    return text


def _without_named(text: str, lowered: str) -> str:
    pieces, end = [], 0
    for start in _places_of_names(text, lowered):
        # Matching only where a name begins is several times faster than searching the text for each pattern.
        if start >= end and (found := _named_at(text, start)) is not None:
            pieces += [text[end:start], found[0]]
            end = found[1]
    return "".join([*pieces, text[end:]])


def _places_of_names(text: str, lowered: str) -> list[int]:
    if len(lowered) != len(text):
        # The lower-case form of a character is longer than the character, so places in `lowered` do not fit `text`.
        return [found.start() for found in _NAME.finditer(text)]
    places = []
    for name in SECRET_NAMES:
        place = lowered.find(name)
        while place >= 0:
            places.append(place)
            place = lowered.find(name, place + 1)
    return sorted(places)


def _named_at(text: str, start: int) -> tuple[str, int] | None:
    """Mask the secret whose name begins at `start`, as in `password=...`.

    Return the name with the masked secret, and the index at which the secret ends. Return None if there is no secret.
    """
    for pattern, by in _NAMED:
        if found := pattern.match(text, start):
            return found.expand(by), found.end()
    return None


def looks_clean(text: str) -> bool:
    """Return whether a text contains nothing that looks like a secret or a phone number."""
    # Most texts, such as ordinary ids, pass these quick checks and need no full search.
    if text.isascii() and not any(map(text.__contains__, _SIGNS)):
        if _PHONE_END.search(text) and _LOCAL_PHONE.search(text):
            return False
        return not (_PHONE_IN_PAIRS.search(text) or ("00" in text and _PHONE_WITH_00.search(text)))
    return without_secrets(without_phones(text)) == text
