"""The streaming filter: return ordinary words at once, and replace tokens such as dates and amounts with words.

The filter holds back a token until the token is complete. If a token begins with an ordinary word, as `ann@example.com`
begins with `ann`, this word is returned at once. Only the rest of the token is held back, and later returned as words.
The filter reads one character at a time, so the size of the pieces does not change the result.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence

from .abbreviations import ABBREVIATION_KINDS
from .calendar import CALENDAR_KINDS
from .codes import CODE_KINDS
from .contacts import CONTACT_KINDS
from .grammar import one_of
from .kinds import Kind, Place
from .numbers import NUMBER_KINDS
from .shapes import HEADS
from .units import DURATION_KINDS

LONGEST = 160
"""The maximum number of characters that are held back."""
CONTEXT = 4
"""The number of words before a token that are remembered, because they may decide what the token is."""
SENTENCE_ENDS = ".!?\n"

KINDS = [*CALENDAR_KINDS, *CONTACT_KINDS, *CODE_KINDS, *DURATION_KINDS, *NUMBER_KINDS, *ABBREVIATION_KINDS]
"""All kinds of tokens. The longest matching token is chosen. If several are equally long, the first kind wins."""


class Lexicon:
    """The kinds of tokens, such as dates and amounts, that a filter replaces with words.

    An agent has one lexicon, which the filters of all its responses share.
    """

    def __init__(self, kinds: Sequence[Kind], *, day_first: bool = False) -> None:
        self.day_first = day_first
        self._kinds = kinds
        self._first = [kind for kind in kinds if kind.when("")]
        self._by_char: dict[str, list[Kind]] = {}

    def beginning(self, char: str, word: str) -> list[Kind]:
        """Return the kinds of tokens that may begin with `char`.

        `word` is the part of the current word that was already spoken: the letters and digits directly before `char`.
        """
        if not word:
            if char not in self._by_char and char.isascii():
                self._by_char[char] = going_on(self._first, char)
            return self._by_char[char] if char.isascii() else going_on(self._first, char)
        if len(word) > 1 and "a" <= char <= "z" and word not in HEADS:
            return []  # a shortcut, because most characters are inside ordinary words
        return going_on([kind for kind in self._kinds if kind.when(word)], char)


def going_on(kinds: Sequence[Kind], text: str) -> list[Kind]:
    """Return the kinds that have a token which may begin with this text."""
    return [kind for kind in kinds if kind.prefix.fullmatch(text)]


class Pronouncer:
    """The filter of one response: call `feed` with each piece, and `flush` at the end."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._held = ""
        self._begun: list[Kind] = []
        """The kinds of tokens that may begin with the first held character."""
        self._open: list[Kind] = []
        """The kinds of tokens that may begin with all held characters together."""
        self._word = ""
        """The letters and digits of the current word that were already returned."""
        self._joined = ""
        """The token that ends directly before the next character; "" if there is none."""
        self._before: deque[str] = deque(maxlen=CONTEXT)

    def feed(self, piece: str) -> str:
        """Filter the next piece. Return what can be spoken now."""
        return self._run(deque(piece))

    def flush(self) -> str:
        """Return the text that is still held back. Call this after the last piece."""
        out: list[str] = []
        while self._held:
            pending = deque[str]()
            self._resolve(out, pending)
            out.append(self._run(pending))
        self._end_word()
        self._before.clear()
        self._joined = ""
        return "".join(out)

    def _run(self, pending: deque[str]) -> str:
        out: list[str] = []
        while pending:
            char = pending.popleft()
            if not self._held:
                self._begun = self._open = self._lexicon.beginning(char, self._word)
                if not self._open:
                    out.append(self._plain(char))
                    continue
            self._held += char
            if len(self._held) > 1:
                self._open = going_on(self._open, self._held)
            if not self._open or len(self._held) > LONGEST:
                self._resolve(out, pending)
        return "".join(out)

    def _resolve(self, out: list[str], pending: deque[str]) -> None:
        """Append the words of the held token to `out`, and put the characters after it back into `pending`."""
        held, self._held = self._held, ""
        said, end = self._said(held)
        if not end:
            said, end = self._plain(held[0]), 1
        else:
            self._before.append(self._word + held[:end])
            self._word = ""
            said = self._apart(said)
            self._joined = held[:end] if said[-1:].isalnum() else ""
        out.append(said)
        pending.extendleft(reversed(held[end:]))

    def _said(self, held: str) -> tuple[str, int]:
        """Return the words for the longest token at the start of the held text, and the token's length.

        Return ("", 0) if the held text does not start with a token.
        """
        matches = [(match, kind) for kind in self._begun if (match := kind.full.match(held))]
        for match, kind in sorted(matches, key=lambda pair: (not pair[1].preferred, -_end(pair[0]))):
            end = _end(match)
            place = Place(tuple(self._before), held[end : end + 1], self._word, self._joined, self._lexicon.day_first)
            if end and (said := kind.say(match, place)) is not None:
                return said, end
        return "", 0

    def _plain(self, char: str) -> str:
        """Return a character unchanged, and keep track of the current word."""
        if char.isalnum() or (char in "'\u2019" and self._word):
            self._word += char
            return self._apart(char)
        self._end_word()
        self._joined = ""
        if char in SENTENCE_ENDS:
            self._before.clear()
        return char

    def _apart(self, said: str) -> str:
        """Return the text, with a space before it if it would run into the words of the token directly before."""
        joined, self._joined = self._joined, ""
        return f" {said}" if joined and said[:1].isalnum() else said

    def _end_word(self) -> None:
        if self._word:
            self._before.append(self._word)
        self._word = ""


def _end(match: re.Match[str]) -> int:
    """Return where the token ends: before the group `rest` if this group matched, otherwise at the end of the match."""
    rest = match.groupdict().get("rest")
    return match.end() if rest is None else match.start("rest")


def replacements(replace: Mapping[str, str]) -> list[Kind]:
    """Return a list with one kind of token, which matches the words that `replace` replaces.

    The list is empty if `replace` is empty.
    """
    if not replace:
        return []
    return [Kind(one_of(replace), lambda match, place: replace[match[0]], preferred=True)]
