"""The HTTP client inside a model provider's client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    pools = [pool for pool in _pools(client) if hasattr(pool, "_keepalive_expiry")]
    for pool in pools:
        pool._keepalive_expiry = seconds
    return bool(pools)


def wrap_transports(client: Any, wrapper: Callable[[Any], Any]) -> bool:
    """Wrap the transports of an HTTP client, those for proxies too, once; return whether that was possible.

    Only a client's constructor takes a transport in public. If the client does not show them, nothing changes.
    """
    if not hasattr(client, "_transport"):
        return False
    client._transport = _wrapped(client._transport, wrapper)
    mounts = getattr(client, "_mounts", {})
    for pattern, transport in list(mounts.items()):
        mounts[pattern] = transport and _wrapped(transport, wrapper)
    return True


def has_idle_connection(client: Any) -> bool:
    """Return whether an HTTP client has a connection for its next request.

    If the pool does not show its connections, the answer is False: a connection is then asked for more often.
    """
    return any(
        connection.is_idle() and not connection.has_expired()
        for pool in _pools(client)
        for connection in getattr(pool, "connections", ())
    )


def _wrapped(transport: Any, wrapper: Callable[[Any], Any]) -> Any:
    return transport if hasattr(transport, "wrapped") else wrapper(transport)


def _pools(client: Any) -> Iterator[Any]:
    transports = [getattr(client, "_transport", None), *getattr(client, "_mounts", {}).values()]
    for transport in transports:
        pool = getattr(getattr(transport, "wrapped", transport), "_pool", None)
        if pool is not None:
            yield pool
