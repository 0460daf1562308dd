"""Remove markdown, emoji and links from streamed text, and provide a prompt with which models avoid them.

The filter reads one character at a time. It holds back only a mark whose meaning depends on the next character, so no
word is delayed, and the size of the pieces does not change the result.
"""

from __future__ import annotations

import re

SPEAK_PLAINLY = """\
Everything you write is spoken aloud by a machine that reads it as it stands.
- Plain sentences: no lists, headings, tables, markdown, emoji, links or code.
- Numbers as people say them: "twelve euros fifty", "about three thousand"; years as "twenty twenty-six".
- Phone numbers, codes and order numbers digit by digit, in groups: "five five five, zero one, four two".
- Dates and times in words: "Friday the third of May at half past seven", never 03/05 or 19:30.
- Addresses the way one says them on the phone: "twelve Mill Lane, second floor"; an e-mail address with "at" and "dot".
- Units and abbreviations written out: "kilometres per hour", "for example", "Doctor Lee".
"""
"""Instructions for speakable text, numbers and dates: `Agent(instructions=[load_prompt("mine"), SPEAK_PLAINLY])`."""

_MARKS = "*_~`#>-+=!]\\"
"""Marks that are held back until the next character shows their meaning."""
_EMOJI = (
    "\u20e3\u2022\u231a\u231b\u23cf\u23e9-\u23fa\u25a0-\u25ff\u2600-\u27bf\u2b00-\u2bff\ufe0f\U0001f000-\U0001faff"
    "\U000e0020-\U000e007f"
)
_IS_EMOJI = re.compile(f"[{_EMOJI}]")
_SPECIAL = re.compile(f"[{re.escape(_MARKS)}\\[|\\n\u200d{_EMOJI}]")
_IS_ADDRESS = re.compile(r"\s*(?:<|\S*[./:#@])")
"""Whether a link's target begins with an address, which must not be spoken."""
_PUNCTUATION = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def speakable(text: str) -> str:
    """Return the speakable form of a whole text."""
    one = MarkdownFilter()
    return one.feed(text) + one.flush()


class MarkdownFilter:
    """The streaming filter: call `feed` with each piece of a response, and `flush` at its end."""

    def __init__(self) -> None:
        self._held = ""
        self._before = "\n"
        """The unfiltered character before the mark that is held back."""
        self._prev = "\n"
        self._out = "\n"
        """The last character that was returned."""
        self._line_start = True
        self._table = False
        self._dropped = False
        self._skip = ""
        """The character that ends a skipped link target or first line of a code block; "" while nothing is skipped."""
        self._depth = 0
        self._target = ""
        """The part of the skipped text so far."""

    def feed(self, piece: str) -> str:
        """Filter the next piece. Return the text that can be spoken now."""
        if self._plain and piece and not _SPECIAL.search(piece):
            self._prev = self._out = piece[-1]
            return piece
        return "".join([self._step(char) for char in piece])

    def flush(self) -> str:
        """Return the text that was held back. The next piece counts as the start of a line."""
        out = self._unskip() if self._skip else ""
        out += self._resolve("")[0] if self._held else ""
        self._held = self._skip = ""
        self._line_start, self._table, self._prev = True, False, "\n"
        return out

    @property
    def _plain(self) -> bool:
        """Whether text without special characters can now be returned unchanged."""
        return not (self._held or self._skip or self._line_start or self._dropped or self._table)

    def _step(self, char: str) -> str:
        if self._skip:
            return self._skipping(char)
        if self._held and char == self._held[0] and char != "\\":
            self._held += char
            return ""
        before = ""
        if self._held:
            before, consumed = self._resolve(char)
            self._held = ""
            if consumed:
                self._prev = char
                return before
        return before + self._fresh(char)

    def _fresh(self, char: str) -> str:
        """Process a character while no mark is held."""
        if char in _MARKS:
            self._held, self._before, self._prev = char, self._prev, char
            return ""
        before, self._prev = self._prev, char
        if char == "|" and self._line_start:
            self._table = True
        if self._silent(char, before):
            self._dropped = True
            return ""
        return self._emit(char)

    def _silent(self, char: str, before: str) -> bool:
        if char == "[" or _IS_EMOJI.match(char):
            return True
        if char == "\u200d":  # the zero-width joiner joins emoji, and in some scripts also letters
            return bool(_IS_EMOJI.match(before))
        return self._table and (char == "|" or (char == ":" and before in "|- "))

    def _emit(self, text: str) -> str:
        if text == "\n":
            self._line_start, self._table = True, False
        elif text in " \t":
            if self._dropped and self._out in " \t\n":
                return ""
        elif text:
            self._line_start = False
        if text:
            self._dropped, self._out = False, text[-1]
        return text

    def _skipping(self, char: str) -> str:
        """Skip a character of a link's target or of a code block's first line. A newline ends both."""
        if char == "\n" or (self._skip == ")" and self._ends_target(char)):
            return self._unskip() + self._step(char)
        self._prev = char
        self._target += char
        self._depth += char == "("
        if char == self._skip:
            self._depth -= 1
            if self._depth <= 0:
                self._skip = self._target = ""
        return ""

    def _ends_target(self, char: str) -> bool:
        """Return whether a second word begins. A link's target is one word, which only a title in quotes may follow."""
        if len(self._target.split()) != 1 or not self._target[-1].isspace() or self._target.lstrip()[0] == "<":
            return False
        return not char.isspace() and char not in "\"'()"

    def _unskip(self) -> str:
        """End a link's target, or a code block's first line, that was not closed. Return its words.

        The words of a code block's first line, and addresses, are not spoken.
        """
        target, opening = self._target, {")": "(", "]": "["}.get(self._skip, "")
        self._skip = self._target = ""
        if opening and not _IS_ADDRESS.match(target):
            return self._emit(opening) + "".join([self._step(char) for char in target])
        return self._emit(" ") if opening and target[-1:].isspace() else ""

    def _resolve(self, char: str) -> tuple[str, bool]:
        """Decide what the held mark means. `char` is the character after the mark, "" at the end of the text.

        Returns the text to speak, and whether `char` was consumed.
        """
        mark = self._held[0]
        if mark == "\\" and char in _PUNCTUATION:
            return self._emit(char), True
        if mark == "]" and char and char in "([":
            self._skip, self._depth, self._dropped = ")" if char == "(" else "]", 1, True
            return "", True
        if self._line_start and self._opens_line(mark, char):
            self._dropped = True
            return "", char == " " or bool(self._skip)
        kept = self._kept(mark, char)
        self._dropped |= kept != self._held
        return self._emit(kept), False

    def _opens_line(self, mark: str, char: str) -> bool:
        """Return whether a mark that begins a line starts a heading, list item, quote, rule or code fence."""
        count = len(self._held)
        if mark == "`" and count >= 3:
            self._skip = "" if char in ("", "\n") else "\n"
            return True
        if mark in "-*_=" and count >= 3 and char in ("", "\n", "\r"):
            return True
        if mark == "#" and count > 6:
            return False
        return char == " " and (mark in "#>" or (mark in "-+*" and count == 1))

    def _kept(self, mark: str, char: str) -> str:
        """Return the part of the held characters that is spoken, because it is text and not markup.

        All held characters are the same: `mark`, such as the asterisk in `**`. `char` is the character after them.
        """
        held, before = self._held, self._before
        if mark in "`]":
            return ""
        if mark == "!":
            return held[:-1] if char == "[" else held
        if mark == "*":
            product = (before == char == " ") or (before.isdigit() and char.isdigit())
            return held if product and len(held) == 1 else ""
        if mark == "_":
            return held if before.isalnum() and char.isalnum() else ""
        if mark == "~":
            return held if len(held) == 1 else ""
        return "" if self._table and mark == "-" and len(held) > 1 else held
