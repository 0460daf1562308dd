"""Collect the secrets that callers send in their metadata, such as a token, by the names of their fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .. import context

SHORTEST_SECRET = 6
SECRET_NAMES = (
    "secret",
    "password",
    "passwd",
    "token",
    "api_key",
    "apikey",
    "authorization",
    "signature",
    "credential",
)
KEPT = 256
"""How many of the newest secrets are remembered outside of their turns."""

_newest: dict[str, None] = {}


def is_secret_name(name: str) -> bool:
    """Return whether a field of this name holds a secret."""
    lowered = name.lower()
    return any(word in lowered for word in SECRET_NAMES)


def remember(metadata: Mapping[str, Any] | None) -> None:
    """Remember a turn's secrets for code without the turn's context: its threads, and handlers of uncaught errors."""
    for secret in _named_secrets(metadata) if metadata else ():
        _newest.pop(secret, None)
        _newest[secret] = None
        if len(_newest) > KEPT:
            del _newest[next(iter(_newest))]


def known() -> Iterable[str]:
    """Return the secrets of the current turn, or the newest of all turns if there is no current metadata."""
    metadata = getattr(context.current(), "metadata", None)
    return _named_secrets(metadata) if metadata else tuple(_newest)


def _named_secrets(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _named_secrets(value)
        elif isinstance(value, str) and len(value) >= SHORTEST_SECRET and is_secret_name(str(name)):
            yield value
