"""Find secrets, such as tokens, in the metadata of calls. A secret is recognised by the name of its field."""

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
"""Maximum number of secrets that `remember` stores."""

_newest: dict[str, None] = {}


def is_secret_name(name: str) -> bool:
    """Return whether the name of a field suggests that it holds a secret."""
    lowered = name.lower()
    return any(word in lowered for word in SECRET_NAMES)


def remember(metadata: Mapping[str, Any] | None) -> None:
    """Remember a turn's secrets for code that lacks the turn's context: threads, and handlers of uncaught errors."""
    for secret in _named_secrets(metadata) if metadata else ():
        _newest.pop(secret, None)
        _newest[secret] = None
        if len(_newest) > KEPT:
            del _newest[next(iter(_newest))]


def known() -> Iterable[str]:
    """Return the secrets in the current turn's metadata. Without a turn or metadata, return the remembered secrets."""
    metadata = getattr(context.current(), "metadata", None)
    return _named_secrets(metadata) if metadata else tuple(_newest)


def _named_secrets(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _named_secrets(value)
        elif isinstance(value, str) and len(value) >= SHORTEST_SECRET and is_secret_name(str(name)):
            yield value
