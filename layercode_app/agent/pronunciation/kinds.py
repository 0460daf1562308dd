"""The types that describe a kind of token: which texts are such tokens, and how they are said as words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from .grammar import Form

BOUNDARY = r"(?![^\W_])"
"""The end of a token: no letter or digit follows."""


@dataclass(frozen=True)
class Place:
    """The surroundings of a token in its text."""

    before: Sequence[str] = ()
    """The words before the token in its sentence, at most four."""
    after: str = ""
    """The character after the token; "" at the end of the text."""
    word: str = ""
    """The letters and digits of the same word that were already spoken."""
    joined: str = ""
    """The token that ends directly before this token; "" if there is another character between them."""
    day_first: bool = False
    """Whether 3/5 means the third of May. Otherwise it means the fifth of March."""

    @property
    def last(self) -> str:
        """The word before the token, in lower case; "" if there is none."""
        return self.before[-1].lower() if self.before else ""


Say: TypeAlias = "Callable[[re.Match[str], Place], str | None]"
"""A function that returns the words for a token, or None if the text is no token of its kind in this place."""


@dataclass(frozen=True)
class Kind:
    """One kind of token: its form, and the function that says it.

    If the form has a group `rest`, the token ends before that group. The group only helps to recognise the token.
    """

    form: Form
    say: Say
    when: Callable[[str], bool] = field(default=lambda word: not word)
    """A function that returns whether a token may begin here. It gets the part of the word that was already spoken."""
    open: bool = False
    """Whether a letter or digit may directly follow the token."""
    preferred: bool = False
    """Whether this kind is chosen even if another kind matches a longer token."""

    @cached_property
    def full(self) -> re.Pattern[str]:
        """The regular expression that matches a whole token of this kind."""
        return re.compile(self.form.full + ("" if self.open else BOUNDARY))

    @cached_property
    def prefix(self) -> re.Pattern[str]:
        """The regular expression that matches every beginning of a token of this kind."""
        return re.compile(self.form.prefix)
