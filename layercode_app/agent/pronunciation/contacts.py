"""Say telephone numbers, e-mail addresses and web addresses as words."""

from __future__ import annotations

import re

from ...spoken.letters import address
from ...spoken.numbers import LONG, digits, in_threes
from .grammar import Form, char, maybe, named, one_of, text, times
from .kinds import Kind, Place
from .shapes import DIGIT, SPACE

ENDINGS = (
    *("com", "org", "net", "edu", "gov", "io", "dev", "ai", "app", "co", "info", "biz", "me", "tv", "eu", "uk", "us"),
    *("de", "fr", "es", "it", "nl", "ch", "at", "ca", "au", "in", "jp", "test", "example"),
)
"""The endings by which a web address without a scheme is recognised."""


def say_phone(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a telephone number, whose digits are said in groups."""
    written = match["p"]
    if sum(char.isdigit() for char in written) < 7:
        return None
    parts = [digits(part) if len(part) < LONG else in_threes(part) for part in re.findall(r"\d+", written)]
    return ("plus " if written[0] == "+" else "") + ", ".join(parts)


def say_address(match: re.Match[str], place: Place) -> str | None:
    """Return the words for an e-mail or web address, without its scheme."""
    words = address(match["address"])
    return f" {words}" if place.word else words


def say_handle(match: re.Match[str], place: Place) -> str | None:
    """Return the word for the @ before a user name, such as @layercode."""
    return "at "


_SEPARATOR = char(" .\\-\u2011")
_AREA = text("(") + times(DIGIT, 2, 4) + text(")")
_THREE, _FOUR = times(DIGIT, 3, 3), times(DIGIT, 4, 4)
_ONE = maybe(text("1") + _SEPARATOR)
_GROUP = (_SEPARATOR + times(DIGIT, 1, 7)) | (maybe(_SEPARATOR) + (text("(0)") | _AREA) + times(DIGIT, 0, 10))
_LOCAL_ZERO = (text("0") | text("(0)")) + times(DIGIT, 2, 4)

_HOST = (
    char("A-Za-z0-9") + times(char("A-Za-z0-9\\-"), 0, 62) + times(text(".") + times(char("A-Za-z0-9\\-"), 1, 63), 1, 5)
)
_TAIL = Form(r"(?:[/?#](?:[\w./?#&=%~:+-]*[\w/=])?)?", r"(?:[/?#][\w./?#&=%~:+-]*)?")
_LOCAL = times(char("A-Za-z0-9._+\\-"), 0, 64)


def _starts_local(word: str) -> bool:
    return bool(word)


CONTACT_KINDS = [
    Kind(named("p", text("+") + times(DIGIT, 1, 15) + times(_GROUP, 0, 6)), say_phone),
    Kind(named("p", _ONE + _AREA + maybe(SPACE) + times(DIGIT, 3, 4) + _SEPARATOR + times(DIGIT, 3, 4)), say_phone),
    Kind(named("p", _ONE + _THREE + _SEPARATOR + _THREE + _SEPARATOR + _FOUR), say_phone),
    Kind(named("p", _THREE + text("-") + _FOUR), say_phone),
    Kind(named("p", _LOCAL_ZERO + times(char(" \\-") + times(DIGIT, 2, 7), 1, 4)), say_phone),
    Kind(one_of(["https://", "http://"]) + named("address", _HOST + _TAIL), say_address),
    Kind(named("address", text("www.") + _HOST + _TAIL), say_address),
    Kind(named("address", DIGIT + _LOCAL + text("@") + _HOST), say_address),
    Kind(text("@") + named("rest", char("A-Za-z0-9_")), say_handle, open=True),
    # The first word of an address was already spoken, because it could have been an ordinary word.
    Kind(named("address", maybe(char("._+") + _LOCAL) + text("@") + _HOST), say_address, when=_starts_local),
    Kind(
        named(
            "address", times(text(".") + times(char("A-Za-z0-9\\-"), 1, 63), 0, 4) + text(".") + one_of(ENDINGS) + _TAIL
        ),
        say_address,
        when=_starts_local,
    ),
]
"""The kinds of tokens that are a telephone number or an address."""
