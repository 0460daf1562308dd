"""Read letters: "a n n", "double n", "a as in alpha", "bravo", "capital b"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .words import REPEATS

NATO = {
    "alpha": "a", "alfa": "a", "bravo": "b", "charlie": "c", "delta": "d", "echo": "e", "foxtrot": "f", "golf": "g",
    "hotel": "h", "india": "i", "juliet": "j", "juliett": "j", "kilo": "k", "lima": "l", "mike": "m", "november": "n",
    "oscar": "o", "papa": "p", "quebec": "q", "romeo": "r", "sierra": "s", "tango": "t", "uniform": "u", "victor": "v",
    "whiskey": "w", "whisky": "w", "xray": "x", "yankee": "y", "zulu": "z",
}  # fmt: skip
SOUNDS = {
    "bee": "b", "cee": "c", "see": "c", "sea": "c", "dee": "d", "eff": "f", "gee": "g", "aitch": "h", "jay": "j", "kay": "k",
    "el": "l", "ell": "l", "em": "m", "en": "n", "pee": "p", "cue": "q", "queue": "q", "ar": "r", "ess": "s", "tee": "t",
    "vee": "v", "ex": "x", "why": "y", "zee": "z", "zed": "z",
}  # fmt: skip
"""How speech recognition may write the name of a letter."""


def letter(tokens: Sequence[str], at: int, *, words: bool = False, sounds: bool = False) -> tuple[str, int] | None:
    """Read one spelled letter, such as "b" or "b for bravo", or a repeated letter, such as "double b".

    Return the letter or letters, such as "b" or "bb", and the index of the next token. Return None if no spelled letter
    begins at the index `at`.

    `words` also accepts words of the spelling alphabet, such as "bravo". `sounds` also accepts names of letters, such
    as "bee". Leave both options off where these words may be meant literally.
    """
    word = tokens[at]
    more = tokens[at + 1] if at + 1 < len(tokens) else ""
    if word in ("capital", "uppercase", "lowercase", "letter") and more:
        return letter(tokens, at + 1, words=words, sounds=sounds)
    if word in REPEATS and more:
        once = letter(tokens, at + 1, words=words, sounds=sounds)
        return (once[0] * REPEATS[word], once[1]) if once else None
    found = word if re.fullmatch("[a-z]", word) else ""
    if words and word == "x" and more == "ray":
        return "x", at + 2
    found = found or (NATO.get(word, "") if words else "") or (SOUNDS.get(word, "") if sounds else "")
    if not found:
        return None
    return found, _after_example(tokens, at + 1, found)


def _after_example(tokens: Sequence[str], at: int, found: str) -> int:
    """Return the index after an example such as "as in alpha" or "for bravo". Without an example, return `at`."""
    rest = list(tokens[at : at + 3])
    if len(rest) == 3 and rest[:2] == ["as", "in"] and rest[2].startswith(found):
        return at + 3
    if len(rest) >= 2 and rest[0] in ("for", "like") and rest[1].startswith(found) and len(rest[1]) > 1:
        return at + 2
    return at


def respelled(tokens: Sequence[str]) -> list[str]:
    """Replace a word with the spelling that follows it: "smith spelled s m y t h" becomes "smyth"."""
    text = list(tokens)
    for mark in ("spelled", "spelt", "spelling"):
        if mark in text[1:]:
            at = text.index(mark)
            end, letters = at + 1, ""
            while end < len(text) and (read := letter(text, end)):
                letters, end = letters + read[0], read[1]
            if letters:
                text[at - 1 : end] = [letters]
    return text
