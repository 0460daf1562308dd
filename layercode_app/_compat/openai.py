"""The HTTP client inside a model provider's client."""

from __future__ import annotations

from typing import Any


def http_client(model: Any) -> Any | None:
    """Return the HTTP client of a model's requests, or None if the provider's client does not show it.

    Without it the connection to the provider is opened by the first request.
    """
    return getattr(getattr(getattr(model, "provider", None), "client", None), "_client", None)


def keep_idle(client: Any, seconds: float) -> bool:
    """Keep the idle connections of an HTTP client for a number of seconds; return whether that was possible.

    Only a client's constructor takes that time in public, and the client of a provider is made by its SDK. If the pool
    does not show it, idle connections are closed after the client's own time, which is 5 s.
    """
    pool: Any = getattr(getattr(client, "_transport", None), "_pool", None)
    if not hasattr(pool, "_keepalive_expiry"):
        return False
    pool._keepalive_expiry = seconds
    return True
