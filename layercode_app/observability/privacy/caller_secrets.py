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
    "passphrase",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "private_key",
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


def _named_secrets(value: Any, *, named: bool = False) -> Iterator[str]:
    """Yield the secrets in a JSON value. `named` says that it is in a field whose name suggests a secret."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            # A plural such as `max_tokens` may be a number of tokens.
            secret = is_secret_name(str(name)) and not (isinstance(item, int) and str(name).endswith("s"))
            yield from _named_secrets(item, named=named or secret)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _named_secrets(item, named=named)
    elif named and isinstance(value, str | int) and len(str(value)) >= SHORTEST_SECRET:
        yield str(value)
