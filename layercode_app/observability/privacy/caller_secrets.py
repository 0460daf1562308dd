"""Find secrets, such as tokens, in the metadata of calls. A secret is recognised by the name of its field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import orjson

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
DESCRIPTIONS = ("type", "status", "kind", "scope", "method", "format", "algorithm", "issuer", "expires", "expiry")
"""If a field's name ends in one of these words, as in `token_type`, its value may be an ordinary word and no secret."""
LONGEST_WORD = 24
KEPT = 256
"""Maximum number of secrets that `remember` stores."""

SHORTEST_NUMBER = 8
"""Minimum digits of a number that is a secret."""

_newest: dict[str, None] = {}
_scope: ContextVar[tuple[str, ...] | None] = ContextVar("layercode_secrets", default=None)


def is_secret_name(name: str) -> bool:
    """Return whether the name of a field suggests that it holds a secret."""
    lowered = name.lower()
    return any(word in lowered for word in SECRET_NAMES)


def remember(metadata: Mapping[str, Any] | None) -> None:
    """Remember a turn's secrets for code that lacks the turn's context: threads, and handlers of uncaught errors."""
    for secret in _secrets_in(metadata) if metadata else ():
        _newest.pop(secret, None)
        _newest[secret] = None
        if len(_newest) > KEPT:
            del _newest[next(iter(_newest))]


@contextmanager
def only(metadata: Iterable[Mapping[str, Any] | None]) -> Iterator[None]:
    """While the block runs, mask the secrets in the metadata of these turns, and no other secrets. Exports use this."""
    token = _scope.set(tuple(secret for one in metadata if one for secret in _secrets_in(one)))
    try:
        yield
    finally:
        _scope.reset(token)


def known() -> tuple[str, ...]:
    """Return the secrets in the current turn's metadata.

    Without a turn or metadata, return the secrets that `remember` stored. Inside a `with only(…)` block, return the
    secrets in the metadata that was given to `only`.
    """
    if (scope := _scope.get()) is not None:
        return scope
    metadata = getattr(context.current(), "metadata", None)
    return _secrets_in(metadata) if metadata else tuple(_newest)


def _secrets_in(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the secrets in a turn's metadata.

    Every log line and span needs them, and metadata may have thousands of entries. So the secrets are cached. The key
    of the cache is the metadata as JSON, which takes little time to write. If the agent changes the metadata during the
    turn, the key changes too, so new secrets are found.
    """
    try:
        return _secrets_in_json(orjson.dumps(metadata, option=orjson.OPT_NON_STR_KEYS))
    except TypeError:
        return tuple(_named_secrets(metadata))


@lru_cache(maxsize=128)
def _secrets_in_json(metadata: bytes) -> tuple[str, ...]:
    return tuple(_named_secrets(orjson.loads(metadata)))


def _named_secrets(value: Any, *, name: str = "", named: bool = False) -> Iterator[str]:
    """Yield the secrets in a JSON value. `name` is the name of the field that holds the value.

    `named` tells whether the name of an outer field suggests a secret. In such a field, texts with a digit are secrets,
    and others are not: in `{"token": {"id": "a1b2c3", "role": "admin"}}`, `a1b2c3` is a secret and `admin` is not.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named_secrets(item, name=str(key), named=named or is_secret_name(name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _named_secrets(item, name=name, named=named)
    elif _is_secret(str(value), number=isinstance(value, int), name=name, named=named):
        yield str(value)


def _is_secret(text: str, *, number: bool, name: str, named: bool) -> bool:
    if len(text) < SHORTEST_SECRET:
        return False
    if number:
        # A short number, as in a field `max_token`, is a count of tokens and no secret.
        return name.lower().endswith(SECRET_NAMES) and len(text) >= SHORTEST_NUMBER
    if is_secret_name(name):
        # Do not take an ordinary word for a secret: it would then be masked in every text that contains it.
        return not (name.lower().endswith(DESCRIPTIONS) and _is_word(text))
    return named and any(map(str.isdecimal, text))


def _is_word(text: str) -> bool:
    """Return whether a text may be an ordinary word, such as "complete" or "in_progress"."""
    return len(text) <= LONGEST_WORD and text.replace("_", "").replace("-", "").isalpha()
