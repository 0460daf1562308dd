"""Say letters, codes, and e-mail and web addresses."""

from __future__ import annotations

from .numbers import DIGITS, digits

ALPHABET = {
    "A": "Alpha", "B": "Bravo", "C": "Charlie", "D": "Delta", "E": "Echo", "F": "Foxtrot", "G": "Golf", "H": "Hotel",
    "I": "India", "J": "Juliett", "K": "Kilo", "L": "Lima", "M": "Mike", "N": "November", "O": "Oscar", "P": "Papa",
    "Q": "Quebec", "R": "Romeo", "S": "Sierra", "T": "Tango", "U": "Uniform", "V": "Victor", "W": "Whiskey",
    "X": "X-ray", "Y": "Yankee", "Z": "Zulu",
}  # fmt: skip
"""The spelling alphabet of aviation."""
SIGN_NAMES = {
    ".": "dot", "@": "at", "-": "dash", "_": "underscore", "+": "plus", "/": "slash", "#": "hash", "~": "tilde",
    "?": "question mark", "=": "equals", "&": "and", "%": "percent", ":": "colon", "!": "exclamation mark",
    "*": "star", "'": "apostrophe", ",": "comma",
}  # fmt: skip


def with_example_words(text: str) -> str:
    """Spell a text with example words: "A as in Alpha, N as in November, dot"."""
    return ", ".join(_example(char) for char in text if not char.isspace())


def _example(char: str) -> str:
    if word := ALPHABET.get(char.upper()):
        return f"{char.upper()} as in {word}"
    return DIGITS[int(char)] if char in "0123456789" else SIGN_NAMES.get(char, char)


def spelled(text: str) -> str:
    """Say a code character by character, with a pause after every third: "A B four, two"."""
    signs = [_sign(char) for char in text if not char.isspace()]
    return ", ".join(" ".join(signs[start : start + 3]) for start in range(0, len(signs), 3))


def _sign(char: str) -> str:
    return digits(char) or SIGN_NAMES.get(char, char.upper())


def address(text: str) -> str:
    """Say an e-mail or web address: "ann.smith@gmail.com" is "ann dot smith at gmail dot com"."""
    words: list[str] = []
    run = ""
    for char in text:
        if char.isalpha():
            run += char
            continue
        words += [run] if run else []
        run = ""
        words.append(_sign(char))
    return " ".join([*words, run] if run else words)
