"""Regular expressions with partial matches, which tell a stream whether a token may still continue.

Python's `re` has no partial matches. Each `Form` therefore has two expressions: the first matches whole texts, and the
second matches any beginning of such a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """A set of texts: `full` matches each text, and `prefix` matches each beginning of a text, including ""."""

    full: str
    prefix: str

    def __add__(self, other: Form) -> Form:
        """Return a form that matches a text of this form followed by a text of the other form."""
        return Form(self.full + other.full, f"(?:{self.prefix}|{_unnamed(self.full)}{other.prefix})")

    def __or__(self, other: Form) -> Form:
        """Return a form that matches each text that one of the two forms matches."""
        return Form(f"(?:{self.full}|{other.full})", f"(?:{self.prefix}|{other.prefix})")


def text(literal: str) -> Form:
    """Return a form that matches exactly this text."""
    prefix = ""
    for char in reversed(literal):
        prefix = f"(?:{re.escape(char)}{prefix})?"
    return Form(re.escape(literal), prefix)


def one_of(literals: Iterable[str]) -> Form:
    """Return a form that matches any of these texts. If several match, the longest is preferred."""
    forms = [text(literal) for literal in sorted(set(literals), key=lambda literal: (-len(literal), literal))]
    return Form(f"(?:{'|'.join(form.full for form in forms)})", f"(?:{'|'.join(form.prefix for form in forms)})")


def char(members: str) -> Form:
    """Return a form that matches one character of a set: `char("0-9")` matches a digit."""
    return Form(f"[{members}]", f"[{members}]?")


def maybe(form: Form) -> Form:
    """Return a form that matches the texts of the given form, and the empty text."""
    return Form(f"(?:{form.full})?", form.prefix)


def times(form: Form, least: int, most: int) -> Form:
    """Return a form that matches `least` to `most` texts of the given form in a row."""
    earlier = f"(?:{_unnamed(form.full)}){{0,{most - 1}}}"
    return Form(f"(?:{form.full}){{{least},{most}}}", f"(?:{earlier}{form.prefix})")


def named(name: str, form: Form) -> Form:
    """Return a form that matches the same texts as `form`, and captures the whole text in a group called `name`."""
    return Form(f"(?P<{name}>{form.full})", form.prefix)


def _unnamed(expression: str) -> str:
    """Return the expression with unnamed groups, because a group name may occur only once in an expression."""
    return re.sub(r"\(\?P<\w+>", "(?:", expression)
