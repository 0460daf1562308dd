"""Names of people: "my name is Ann Smith, S M Y T H"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from ..conversation.turn import Turn
from ..spoken.letters import with_example_words
from .spelling import letter
from .toolset import Collector
from .understood import Result, Unclear, Understood
from .words import DOUBT, NOISE

LEAD = re.compile(
    r"^(?:(?:my (?:full |last |first )?name is|my name's|the name is|the name's|name is|this is|i am|i'm|it's|it is|its|you can call"
    r" me|call me|that's|that is|that would be|it would be|spelled|spelt|for|under|speaking with|no|actually|sorry|make it|put it under)"
    r"(?:\s+|,\s*))+",
    re.IGNORECASE,
)
TRAIL = re.compile(r"[\s,]+(?:here|speaking|calling|please|thanks|thank you|is my name|is the name)$", re.IGNORECASE)
PARTICLES = {"van", "von", "de", "der", "den", "da", "di", "la", "le", "del", "bin", "al", "ter", "zu", "dos", "y"}
NOT_NAMES = {
    "what", "who", "why", "when", "where", "how", "can", "could", "would", "do", "does", "is", "are", "want", "need", "have", "the",
    "you", "me", "it", "that", "this", "not", "and", "or", "repeat", "again", "name", "don't", "wait", "my", "your",
    "number", "address", "call", "tomorrow", "today", "a", "with", "spell", "about", "i", "i'd", "i'll",
    "i've", "for", "calling",
}  # fmt: skip
TALK = {"no", "nope", "nah", "none", "nothing", "pardon", "sorry", "excuse", "never", "mind", "one", "second", "moment",
        "minute", "just", "hold", "on", "stop", "cancel", "skip", "later", "bye", "goodbye", "here"}  # fmt: skip
"""Words of callers who do not tell their name. They are no name if there are no other words."""
CORRECTED = DOUBT - {"rather", "mean"}
"""Words between two names that replace the first one: "ann, sorry, anna"."""
_VOWEL = re.compile("[aeiouy]")
AGAIN = "I did not get a name. What is your name?"
SPELL = "How is that spelled?"
_DOTTED = re.compile(r"^(?:[^\W\d_]\. ?){1,3}(?=[^\W\d_]{2})")
"""Initials before a name, as speech recognition writes them: "J.R.R. Tolkien"."""


def understand(heard: str) -> Result[str]:
    """Return the name that was heard, or a question for the caller.

    If a word is followed by its spelling, the spelling replaces it.
    """
    text = _bare(heard)
    if re.search(r"\bwith (?:an?|two|no|double|one) \w+", text, re.IGNORECASE):
        return Unclear(SPELL)
    words = re.findall(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*|\d+", text)
    dotted = _DOTTED.search(text) is not None
    words = _respelled(words, dotted=dotted)
    words = _with_apostrophes(words)
    plain = [word.lower() for word in words]
    refused = {word for word in NOT_NAMES if len(word) > 1} if dotted else NOT_NAMES
    if not words or len(words) > 5 or any(word in refused or word.isdigit() for word in plain):
        return Unclear(AGAIN)
    if all(word in NOISE or word in TALK for word in plain) or all(len(word) == 1 for word in plain):
        return Unclear(AGAIN)
    if CORRECTED & {*plain[1:-1]}:
        return Unclear("I heard more than one name. What is your name?")
    return Understood(" ".join(_cased(word, first=at == 0) for at, word in enumerate(words)))


def _bare(heard: str) -> str:
    """Return the text without words before and after the name, such as "my name is" and "please"."""
    text = heard.strip(" .,!?").replace("\u2019", "'")
    before = None
    while before != text:
        before = text
        text = LEAD.sub("", TRAIL.sub("", text)).strip(" .,!?")
        first, _, rest = text.partition(" ")
        if rest and first.lower().strip(",.") in NOISE:
            text = rest.strip(" ,.")
    return text


def _respelled(words: Sequence[str], *, dotted: bool) -> list[str]:
    """Replace a word by the spelling after it, if the spelling has three or more letters and the same first letter.

    Letters before a name are initials if they cannot be read as a word, or if they have dots (`dotted`).
    """
    result: list[str] = []
    lower = [word.lower() for word in words]
    at = 0
    while at < len(words):
        letters, end = _letters(lower, at)
        if len(letters) < 3:
            if lower[at] not in ("spelled", "spelt", "that's", "spelling") or at == 0:
                result.append(words[at])
            at += 1
            continue
        if not result and end < len(words) and end - at == len(letters) and (dotted or not _VOWEL.search(letters)):
            result += words[at:end]
            at = end
            continue
        if result and result[-1][0].lower() == letters[0]:
            result.pop()
        result.append(letters)
        at = end
    return result


def _letters(words: Sequence[str], at: int) -> tuple[str, int]:
    """Read consecutive letters, including doubled ones such as "double n". Return them and the index after them."""
    text, here = "", at
    while here < len(words) and (read := letter(words, here)):
        text, here = text + read[0], read[1]
    return text, here


def _with_apostrophes(words: Sequence[str]) -> list[str]:
    """Join names with an apostrophe or a hyphen: "o apostrophe brien" and "o brien" become "O'Brien"."""
    text = re.sub(r"(?i)\b(o|d|l) apostrophe ", r"\1'", " ".join(words))
    text = re.sub(r"(?i) (?:hyphen|dash) ", "-", text)
    text = re.sub(r"(?i)(^| )o (?=\w{3,})", r"\1O'", text)
    return re.sub(r"(?i)\bo'(\w)", lambda match: f"O'{match[1].upper()}", text).split()


def _cased(word: str, *, first: bool) -> str:
    """Capitalise a name, unless it has mixed case already or is a particle such as "van"."""
    if word != word.lower() and word != word.upper():
        return word
    if word.lower() in PARTICLES and not first:
        return word.lower()
    cased = "-".join(part[:1].upper() + part[1:].lower() for part in word.split("-"))
    cased = re.sub(r"(?<=^[ODL]')(\w)", lambda match: match[1].upper(), cased)
    return re.sub(r"^(Mc)(\w)", lambda match: match[1] + match[2].upper(), cased)


def say(value: str) -> str:
    """Return the words with which the agent repeats a name."""
    return value


def spell(value: str) -> str:
    """Spell each word of a name with a spelling alphabet, such as "A as in Alpha"."""
    return "; ".join(with_example_words(word) for word in value.split())


class Name(Collector[str]):
    """Collects the name of a person. If the caller also spells a word of the name, the spelling is used."""

    label: ClassVar[str] = "name"
    spells = True
    fixes = True

    def understand(self, heard: str, turn: Turn[Any, Any]) -> Result[str]:
        """Return the name that was heard, or a question for the caller."""
        return understand(heard)

    def say(self, value: str) -> str:
        """Return the words with which the agent repeats a name."""
        return say(value)

    def spell(self, value: str) -> str:
        """Spell a name with example words."""
        return spell(value)

    def from_json(self, kept: Any) -> str:
        """Return the name from its JSON in the journal."""
        return str(kept)
