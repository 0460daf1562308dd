"""Say abbreviations, acronyms and single signs as words."""

from __future__ import annotations

import re

from ...spoken.numbers import digits
from .calendar import SENTENCE, ends_sentence
from .grammar import Form, char, maybe, named, one_of, text, times
from .kinds import Kind, Place
from .shapes import CAPITAL, SPACE, after, head_of

TITLES = {
    "Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor", "St": "Saint", "Mt": "Mount",
    "Gen": "General", "Capt": "Captain", "Sgt": "Sergeant", "Rev": "Reverend", "Hon": "Honorable",
}  # fmt: skip
"""Abbreviations before a name."""
AFTER_A_NAME = {"St": "Street", "Dr": "Drive"}
"""Abbreviations that mean something else after a name, such as "Dr" in "Mulholland Dr"."""
ENDING = {
    "etc.": "et cetera", "Jr.": "Junior", "Sr.": "Senior", "Ltd.": "Limited", "Corp.": "Corporation",
    "Blvd.": "Boulevard", "Rd.": "Road", "Ave.": "Avenue", "Apt.": "Apartment", "Inc.": "Incorporated",
    "approx.": "approximately", "appt.": "appointment", "apt.": "apartment",
    "e.g.": "for example", "i.e.": "that is", "vs.": "versus",
    "ext.": "extension", "tel.": "telephone", "Tel.": "telephone", "est.": "established", "Vol.": "Volume",
    "w/o": "without", "w/": "with", "Fig.": "Figure", "Ph.D.": "P H D",
}  # fmt: skip
"""Abbreviations that may also end a sentence."""
SPELLED = {
    *(
        "AI",
        "API",
        "ATM",
        "CEO",
        "CFO",
        "CIA",
        "CPU",
        "CTO",
        "DIY",
        "DNA",
        "EU",
        "EV",
        "FAQ",
        "FBI",
        "GPS",
        "GPU",
        "HR",
    ),
    *(
        "IBM",
        "ID",
        "IRS",
        "ISP",
        "IT",
        "IVR",
        "LA",
        "MBA",
        "NHS",
        "OS",
        "PO",
        "QR",
        "RSVP",
        "SUV",
        "TV",
        "UI",
        "UK",
        "UN",
    ),
    *("URL", "US", "USA", "USB", "UX", "VAT", "VIP", "VPN", "ETA", "AC", "OTP", "IBAN", "AM", "PM", "EST", "BBC"),
}
"""Acronyms with a vowel that are said letter by letter.

All acronyms without a vowel are said letter by letter too, except those in HEARD.
"""
HEARD = {"IBAN", "MR", "MRS", "DR", "ST"}
"""Words in capitals that are not said letter by letter, because they are said as a word."""
SIGNS = {
    "#": "number ", "\u2116": "number ", "~": "about ", "\u2248": "about ", "\u00b1": "plus or minus ", "<": "less than ",
    ">": "more than ", "\u2264": "at most ", "\u2265": "at least ", "<=": "at most ", ">=": "at least ",
}  # fmt: skip
"""The words for signs before a number."""
ALONE = {"&": "and", "+": "plus", "=": "equals", "\u00d7": "times", "\u00f7": "divided by", "@": "at"}
"""The words for signs between spaces."""


def say_title(match: re.Match[str], place: Place) -> str | None:
    """Return the words for an abbreviated title before a name, or for "St." or "Dr." after the name of a street."""
    short = match["short"]
    if short in AFTER_A_NAME and len(place.before) > 1 and place.before[-1][0].isupper():
        return AFTER_A_NAME[short] + ("." if match["dot"] and ends_sentence(match, place) else "")
    named_next = match["rest"] is not None
    if not match["dot"] and not named_next:
        return None
    if short in AFTER_A_NAME and not named_next and place.before:
        return AFTER_A_NAME[short] + ("." if ends_sentence(match, place) else "")
    return TITLES[short]


def say_ending(match: re.Match[str], place: Place) -> str | None:
    """Return the words for an abbreviation. If its first letters were already spoken, return only the rest."""
    short = place.word + match["short"]
    stop = "." if short.endswith(".") and ends_sentence(match, place) and short not in ("e.g.", "i.e.", "vs.") else ""
    return ENDING[short][len(place.word) :] + stop


def say_acronym(match: re.Match[str], place: Place) -> str | None:
    """Return the letters of an acronym one by one, from the second letter on.

    The filter speaks the first letter at once, before it knows what follows. Returns None for an acronym that is said
    as a word, and for an ordinary word in capitals.
    """
    whole = place.word + match["capitals"]
    if whole in HEARD or not (whole in SPELLED or not re.search("[AEIOUY]", whole)):
        return None
    return "".join(f" {letter}" for letter in match["capitals"]) + ("'s" if match["plural"] else "")


def say_initials(match: re.Match[str], place: Place) -> str | None:
    """Return the letters of initials such as U.S.A. one by one, from the second letter on.

    The filter speaks the first letter at once, before it knows what follows.
    """
    letters = re.findall("[A-Za-z]", match["initials"])
    stop = "." if match["initials"].endswith(".") and ends_sentence(match, place) else ""
    return "".join(f" {letter}" for letter in letters) + stop


def say_version_end(match: re.Match[str], place: Place) -> str | None:
    """Return the words for the end of a name such as v2.5, from the first point on. "v2" was already spoken."""
    return "".join(f" point {digits(part)}" for part in match["n"].split(".")[1:]) if place.word[-1].isdigit() else None


def _sign(match: re.Match[str], place: Place) -> str | None:
    return SIGNS[match["sign"]]


def _alone(match: re.Match[str], place: Place) -> str | None:
    return ALONE[match["sign"]]


def _and(match: re.Match[str], place: Place) -> str | None:
    return " and "


def _abbreviations(head: str) -> Form:
    chosen = [short[len(head) :] for short in ENDING if head_of(short) == head]
    return named("short", one_of(chosen)) + SENTENCE


def _single(word: str) -> bool:
    return len(word) == 1 and word.isalpha()


ABBREVIATION_KINDS = [
    Kind(named("short", one_of(TITLES)) + named("dot", maybe(text("."))) + SENTENCE, say_title, open=True),
    Kind(_abbreviations(""), say_ending, open=True),
    *(Kind(_abbreviations(head), say_ending, when=after(head), open=True) for head in ("A", "a", "In")),
    Kind(
        named("capitals", times(CAPITAL, 1, 6)) + named("plural", maybe(text("s"))), say_acronym,
        when=lambda word: len(word) == 1 and word.isupper(),
    ),
    Kind(
        named("initials", times(text(".") + char("A-Za-z"), 1, 5) + maybe(text("."))) + SENTENCE, say_initials,
        when=_single, open=True,
    ),
    Kind(named("n", times(text(".") + times(char("0-9"), 1, 6), 1, 4)), say_version_end, when=bool),
    Kind(named("sign", one_of(SIGNS)) + maybe(SPACE) + named("rest", char("0-9.$€£")), _sign, open=True),
    Kind(named("sign", one_of(ALONE)) + named("rest", SPACE), _alone, open=True),
    Kind(text("&") + named("rest", CAPITAL), _and, when=bool, open=True),
]  # fmt: skip
"""The kinds of tokens that are abbreviations, acronyms or signs."""
