"""E-mail addresses: "ann dot smith at gmail"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from ..conversation.turn import Turn
from ..spoken.extra import need
from ..spoken.letters import address, with_example_words
from .spelling import letter, respelled
from .toolset import Collector
from .understood import Incomplete, Result, Unclear, Understood
from .words import DOUBT, NOISE, ONES, ORDINALS, REPEATS, TENS, ambiguous_hundreds, digits, split

PROVIDERS = {
    "gmail": "gmail.com", "googlemail": "googlemail.com", "hotmail": "hotmail.com", "outlook": "outlook.com",
    "yahoo": "yahoo.com", "icloud": "icloud.com", "aol": "aol.com", "protonmail": "protonmail.com", "proton": "proton.me",
    "live": "live.com", "msn": "msn.com", "fastmail": "fastmail.com",
}  # fmt: skip
"""Providers that callers name without the ending of the domain."""
SIGNS = {
    "dot": ".", "period": ".", "point": ".", "at": "@", "underscore": "_", "dash": "-", "hyphen": "-", "minus": "-", "plus": "+",
    ".": ".", "@": "@", "_": "_", "-": "-", "+": "+",
}  # fmt: skip
LEAD = {
    *(
        "it's",
        "it",
        "is",
        "its",
        "that's",
        "that",
        "my",
        "the",
        "email",
        "mail",
        "e",
        "address",
        "would",
        "be",
        "use",
        "can",
    ),
    *("write", "to", "me", "send", "i'm", "new", "one", "no", "actually", "sorry"),
}
PHRASES = {
    "all one word": "", "one word": "", "no spaces": "", "all lower case": "", "all lowercase": "", "lower case": "",
    "lowercase": "", "g mail": "gmail", "hot mail": "hotmail", "out look": "outlook", "i cloud": "icloud",
    "proton mail": "protonmail", "under score": "underscore", "at sign": "at", "full stop": "dot", "c o m": "com",
    "dot calm": "dot com", "o r g": "org", "n e t": "net", "u k": "uk", "fast mail": "fastmail", "google mail": "googlemail",
    "mail address": "mail address", "email address": "email address", "e mail": "email", "uh huh": "uh", "mm hmm": "hmm",
}  # fmt: skip
NUMBERS = {*ONES, *TENS, *ORDINALS}
TALK = {
    *(
        "don't",
        "have",
        "haven't",
        "what",
        "who",
        "why",
        "how",
        "when",
        "where",
        "know",
        "want",
        "need",
        "can",
        "could",
        "repeat",
    ),
    *("again", "hold", "later", "do", "does", "did", "you", "got", "give", "what's", "call", "none", "nothing"),
}
"""Words such as "what" and "repeat". A text with one of them is another answer, not the beginning of an address."""
AGAIN = "I did not get an e-mail address. Please say it slowly, with at and dot."


def understand(heard: str) -> Result[str]:
    """Return the e-mail address that was heard, or a question for the caller."""
    if written := re.search(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", heard):
        return _checked(written[0].lower())
    tokens = _without_lead(respelled(_phrases(_split(heard))))
    if not tokens:
        return Unclear(AGAIN)
    if any(word in DOUBT for word in tokens if word not in _hyphenated(heard)):
        return Unclear("I heard more than one thing. Please say the whole e-mail address once more.")
    if ambiguous_hundreds(tokens):
        return Unclear("I am not sure about the number. Please say the whole e-mail address, with single digits.")
    text = _written(tokens)
    local, at, domain = text.rpartition("@")
    if not at:
        return Incomplete("I have {so_far} so far. And after that?") if _may_begin(tokens) else Unclear(AGAIN)
    local = local.replace("@", "at")
    if not local:
        return Incomplete("I have the part after the at sign. What comes before the at sign?")
    if domain in ("", *(f"{provider}." for provider in PROVIDERS)) or domain.endswith((".", "-")):
        return Incomplete("I have {so_far} so far. And after that?")
    domain = PROVIDERS.get(domain, domain)
    if "." not in domain:
        return Incomplete("I have {so_far} so far. What comes after it: dot com, or something else?")
    return _checked(f"{local}@{domain}")


def _split(heard: str) -> list[str]:
    """Split a text into words and signs. A hyphen within a word, as in "t-online", belongs to the address."""
    return split(re.sub(r"([^\W\d_]+)-(?=([^\W\d_]+))", _with_hyphen, heard.lower()))


def _with_hyphen(match: re.Match[str]) -> str:
    """Return a word and the hyphen after it, or a space if the hyphen is only spelling: "a-n-n", "forty-two", "e-mail"."""
    left, right = match[1], match[2]
    letters = len(right) == 1 and (len(left) == 1 or left in ("capital", "uppercase", "lowercase"))
    known = f"{left} {right}" in PHRASES or (left in NUMBERS and right in NUMBERS)
    said = {*SIGNS, *REPEATS} & {left, right}
    return f"{left} " if letters or known or said else f"{left} - "


def _hyphenated(heard: str) -> set[str]:
    """Return the words of compounds such as "no-reply". A "no" in such a compound corrects nothing that was said before.

    Compounds of corrections only, such as "no-no", are left out.
    """
    joined = [found.split("-") for found in re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)+", heard.lower())]
    return {word for words in joined if not DOUBT.issuperset(words) for word in words}


def _may_begin(tokens: Sequence[str]) -> bool:
    """Return whether words without an "@" may be the beginning of an address, rather than another answer."""
    if any(word in TALK for word in tokens):
        return False
    words = [word for word in tokens if word != "-"]
    spelled_out = any(word in SIGNS or len(word) == 1 or word.isdecimal() for word in words)
    return len(words) <= 2 or spelled_out


def _phrases(tokens: Sequence[str]) -> list[str]:
    text = f" {' '.join(tokens)} "
    for phrase, word in PHRASES.items():
        text = text.replace(f" {phrase} ", f" {word} ")
    return text.split()


def _without_lead(tokens: list[str]) -> list[str]:
    """Drop introductory words and noise. Keep such a word directly before "dot" or another sign of an address."""
    start, end = 0, len(tokens)
    while start < end and (tokens[start] in LEAD or tokens[start] in NOISE):
        if start + 1 < end and tokens[start + 1] in SIGNS and tokens[start:].count("at") < 2:
            break
        start += 1
    if tokens[start:end][:1] == ["at"] and tokens[start:end].count("at") > 1:
        start += 1  # "write to me at ann at gmail"
    while end > start and tokens[end - 1] in NOISE:
        end -= 1
    return tokens[start:end]


def _written(tokens: Sequence[str]) -> str:
    text, at = "", 0
    while at < len(tokens):
        word = tokens[at]
        if word in SIGNS:
            text, at = text + SIGNS[word], at + 1
        elif (read := letter(tokens, at) if word != "o" else None) or (
            read := digits(tokens, at) if word != "o" else None
        ):
            text, at = text + read[0], read[1]
        else:
            text, at = text + word.replace("'", ""), at + 1
    return text


def written(heard: str) -> str:
    """Return the written form of a part of an e-mail address, such as "ann.smith" for "ann dot smith"."""
    return _written(_without_lead(respelled(_phrases(_split(heard)))))


def _checked(text: str) -> Result[str]:
    library = need("email_validator", "email-validator", "collect", "Email")
    try:
        return Understood(str(library.validate_email(text, check_deliverability=False).normalized))
    except library.EmailNotValidError:
        return Unclear("That is not a complete e-mail address. Please say it once more, with at and dot.")


def say(value: str) -> str:
    """Return the words with which the agent repeats an address: "ann dot smith at gmail dot com"."""
    return address(value)


def spell(value: str) -> str:
    """Spell the part before "@" with example words, and say the rest."""
    local, _, domain = value.partition("@")
    return f"{with_example_words(local)}, at {address(domain)}"


class Email(Collector[str]):
    """Collects an e-mail address, also in parts, and checks its form. No mail server is contacted."""

    label: ClassVar[str] = "e-mail address"
    needs = (("email_validator", "email-validator"),)
    spells = True
    fixes = True

    def understand(self, heard: str, turn: Turn[Any, Any]) -> Result[str]:
        """Return the address that was heard, or a question for the caller."""
        return understand(heard)

    def say(self, value: str) -> str:
        """Return the words with which the agent repeats an address: "ann dot smith at gmail dot com"."""
        return say(value)

    def spell(self, value: str) -> str:
        """Spell the part before "@" with example words, and say the rest."""
        return spell(value)

    def part(self, heard: str) -> str:
        """Return a part of an e-mail address as it is written, from the words in which it was said."""
        return written(heard)

    def say_part(self, heard: str) -> str:
        """Return the words with which the agent repeats the beginning of an address to the caller."""
        return address(written(heard))

    def from_json(self, kept: Any) -> str:
        """Return the address from its JSON in the journal."""
        return str(kept)
