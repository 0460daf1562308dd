"""Collect the text that a turn sends to be spoken, in pieces, each with its source and model response."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

from ..blank import is_blank
from ..journal.record import BY_MODEL, Source, Speech
from ..wellformed import well_formed
from .sentences import ends_sentence

_SPOKEN_BY = itemgetter(0, 1)
LAST_PIECES = 20
"""How many of the last pieces are checked for the end of a sentence."""


class SpokenText:
    """The spoken text of one turn, which arrives in pieces.

    One or more pieces form a segment. A space is put between two segments, but not between the pieces of one segment.
    If the halves of a surrogate pair arrive in two pieces, they are joined.
    """

    __slots__ = ("_half_of", "_new_segment", "_pieces", "begun", "half")

    def __init__(self) -> None:
        self.begun = False
        """Whether words were sent to be spoken; blank text does not count."""
        self.half = ""
        """A high surrogate at the end of the text, held back until the next piece brings the low surrogate."""
        self._half_of: tuple[Source, int] | None = None
        self._new_segment = False
        self._pieces: list[tuple[Source, int, str]] = []

    def begin_segment(self) -> None:
        """Begin a new segment: a space will separate the next words from the words so far."""
        self._new_segment = True

    def add(self, text: str, source: Source, response: int) -> str:
        """Add text, which must not be empty, and return it in the form to send."""
        text = self._spaced(text, source, response)
        self._pieces.append((source, response, text))
        if not self.begun and not is_blank(text):
            self.begun = True
        return text

    def _spaced(self, text: str, source: Source, response: int) -> str:
        """Separate words of different segments by a space, because a voice would read them as one word.

        A segment begins at `begin_segment`, and wherever the source or the model response changes.
        """
        if self._pieces:
            before, earlier, said = self._pieces[-1]
            begins = self._new_segment or before != source or earlier != response
            if begins and not (said[-1].isspace() or text[0].isspace()):
                text = " " + text
        self._new_segment = False
        return text + " " if source == "filler" and not text[-1].isspace() else text

    # --- halves of characters

    def half_is_of_another(self, source: Source, response: int) -> bool:
        """Return whether the half character that is held back, if any, came from another source or model response.

        If so, text of this source and model response cannot complete the character.
        """
        return bool(self.half) and self._half_of != (source, response)

    def join_half(self, text: str, source: Source, response: int) -> str:
        """Join a surrogate pair that arrives in two pieces; hold back a first half until the second arrives."""
        text = self.half + text
        self.half, self._half_of = "", None
        if text and "\ud800" <= text[-1] <= "\udbff":
            self.half, self._half_of = text[-1], (source, response)
            text = text[:-1]
        return well_formed(text)

    def drop_half(self) -> Source | None:
        """Drop a held-back half of a character; return its source, or None if there is no half."""
        source = self._half_of[0] if self._half_of is not None else None
        self.half, self._half_of = "", None
        return source

    # --- what was said

    @property
    def by_model(self) -> bool:
        """Whether words written by the model were sent to be spoken."""
        return any(source in BY_MODEL and not is_blank(text) for source, _, text in self._pieces)

    @property
    def more_than_fillers(self) -> bool:
        """Whether words other than fillers were sent to be spoken."""
        return any(source != "filler" and not is_blank(text) for source, _, text in self._pieces)

    @property
    def in_mid_sentence(self) -> bool:
        """Whether the text so far ends in the middle of a sentence."""
        return bool(self._pieces) and not ends_sentence("".join(text for _, _, text in self._pieces[-LAST_PIECES:]))

    def runs(self) -> list[Speech]:
        """Return the spoken text, with neighbouring pieces of the same source and model response joined into one."""
        return [
            Speech(source, response, "".join([text for _, _, text in run]))
            for (source, response), run in groupby(self._pieces, _SPOKEN_BY)
        ]
