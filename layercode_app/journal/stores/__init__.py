"""The journal's stores: one interface, several implementations, chosen by URL."""

from __future__ import annotations

from ...exceptions import ConfigurationError
from .base import Store

EXPECTED = (
    "expected sqlite:///PATH (sqlite:////ABSOLUTE/PATH), redis://HOST:PORT/DB, rediss://, postgresql:// or memory"
)


def create_store(url: str, *, keep_seconds: float = 0.0) -> Store:
    """Return the store for a URL; it is not open yet. Raises ConfigurationError for an invalid URL or a missing client.

    Redis expires conversations itself, `keep_seconds` after their last write. With 0 they do not expire.
    """
    if url == "memory":
        from .memory import MemoryStore

        return MemoryStore()
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        from .sqlite import SQLiteStore

        return SQLiteStore(url.removeprefix("sqlite:///"))
    if url.startswith(("redis://", "rediss://")):
        return _redis(url, keep_seconds)
    if url.startswith(("postgresql://", "postgres://")):
        return _postgres(url)
    raise ConfigurationError(f"LAYERCODE_STORE {url.partition('@')[2] or url!r}: {EXPECTED}.")


def _redis(url: str, keep_seconds: float) -> Store:
    try:
        from .redis import RedisStore
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise ConfigurationError(
            "LAYERCODE_STORE is a Redis URL, but the Redis client is not installed: pip install 'layercode-app[redis]'"
        ) from None
    return RedisStore(url, keep_seconds=keep_seconds)


def _postgres(url: str) -> Store:
    try:
        from .postgres import PostgresStore
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise ConfigurationError(
            "LAYERCODE_STORE is a PostgreSQL URL, but psycopg is not installed: pip install 'layercode-app[postgres]'"
        ) from None
    return PostgresStore(url)
