"""The result of understanding a caller's words: a value, the beginning of a value, or a question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Understood(Generic[ValueT]):
    """A value that was understood. It may be wrong until the caller has confirmed it."""

    value: ValueT


@dataclass(frozen=True)
class Incomplete:
    """The beginning of a value. `ask` asks the caller to go on. In it, `{so_far}` stands for the words heard so far."""

    ask: str


@dataclass(frozen=True)
class Unclear:
    """Words without a value, or with more than one possible value. `ask` is the question to ask."""

    ask: str


Result: TypeAlias = Understood[ValueT] | Incomplete | Unclear
