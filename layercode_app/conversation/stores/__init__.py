"""Where the journal is kept: one contract, several stores, opened by URL."""

from __future__ import annotations

from ...exceptions import ConfigurationError
from .base import Store

EXPECTED = "expected sqlite:///PATH (sqlite:////ABSOLUTE/PATH), redis://HOST:PORT/DB, rediss:// or memory"


def create_store(url: str, *, keep_seconds: float = 0.0) -> Store:
    """The store that a URL names, not yet open. Raises ConfigurationError for any other URL.

    Where the store can expire conversations by itself, it does so `keep_seconds` after their last write; 0 keeps them.
    """
    if url == "memory":
        from .memory import MemoryStore

        return MemoryStore()
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        from .sqlite import SQLiteStore

        return SQLiteStore(url.removeprefix("sqlite:///"))
    if url.startswith(("redis://", "rediss://")):
        return _redis(url, keep_seconds)
    raise ConfigurationError(f"LAYERCODE_STORE {url.partition('@')[2] or url!r}: {EXPECTED}.")


def _redis(url: str, keep_seconds: float) -> Store:
    try:
        from .redis import RedisStore
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise ConfigurationError(
            "LAYERCODE_STORE names a Redis, but its client is missing: pip install 'layercode-app[redis]'"
        ) from None
    return RedisStore(url, keep_seconds=keep_seconds)
