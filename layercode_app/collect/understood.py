"""The result of understanding a caller's words: a value, a part of one, or a question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Understood(Generic[ValueT]):
    """A value that was understood. It is right only once the caller has confirmed it."""

    value: ValueT


@dataclass(frozen=True)
class Incomplete:
    """The beginning of a value. `ask` is what to say so that the caller goes on; `{so_far}` in it is what was heard."""

    ask: str


@dataclass(frozen=True)
class Unclear:
    """Words that are no value, or may be several. `ask` is the question to say."""

    ask: str


Result: TypeAlias = Understood[ValueT] | Incomplete | Unclear
