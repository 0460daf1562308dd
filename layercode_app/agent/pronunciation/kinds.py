"""What a token of a text is, and how it is said: the contract between the tables and the filter."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from .grammar import Form

BOUNDARY = r"(?![^\W_])"
"""A token ends where no letter or digit follows."""


@dataclass(frozen=True)
class Place:
    """Where a token stands in its text."""

    before: Sequence[str] = ()
    """The words before it in its sentence, at most four."""
    after: str = ""
    """The character after it; "" at the end of the text."""
    word: str = ""
    """The letters and digits that were already spoken of the same word."""
    day_first: bool = False
    """Whether 3/5 is the third of May."""

    @property
    def last(self) -> str:
        """The word before the token in lower case."""
        return self.before[-1].lower() if self.before else ""


Say: TypeAlias = "Callable[[re.Match[str], Place], str | None]"
"""Returns the words for a token, or None if it is no such token here."""


@dataclass(frozen=True)
class Kind:
    """One kind of token: its form, and how it is said.

    What follows the group `rest` of the form, if it has one, decides what the token is, and is no part of it.
    """

    form: Form
    say: Say
    when: Callable[[str], bool] = field(default=lambda word: not word)
    """Whether a token of this kind may follow the letters of the same word that were already spoken."""
    open: bool = False
    """Whether a letter or digit may follow the token."""
    preferred: bool = False
    """Whether the token is chosen even if another kind has a longer one."""

    @cached_property
    def full(self) -> re.Pattern[str]:
        """The expression of a whole token."""
        return re.compile(self.form.full + ("" if self.open else BOUNDARY))

    @cached_property
    def prefix(self) -> re.Pattern[str]:
        """The expression of everything that such a token can begin with."""
        return re.compile(self.form.prefix)
