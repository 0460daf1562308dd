"""Access the HTTP client inside a model provider's client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def http_client(model: Any) -> Any | None:
    """Return the HTTP client that sends a model's requests, or None if the provider's client does not expose it.

    With None, the connection to the provider is not opened early, but by the first request.
    """
    return getattr(provider_client(model), "_client", None)


def provider_client(model: Any) -> Any | None:
    """Return the client of a model's provider, such as an AsyncOpenAI, or None if the model has none."""
    return getattr(getattr(model, "provider", None), "client", None)


def keep_idle(client: Any, seconds: float) -> bool:
    """Set how long an HTTP client keeps idle connections open; return whether that was possible.

    The client accepts this setting only in its constructor, which the provider's SDK has already called. So the
    setting is changed in the client's connection pool. If the pool does not expose the setting, idle connections are
    closed after the client's default of 5 s.
    """
    pools = [pool for pool in _pools(client) if hasattr(pool, "_keepalive_expiry")]
    for pool in pools:
        pool._keepalive_expiry = seconds
    return bool(pools)


def use_http2(client: Any) -> bool:
    """Let an HTTP client use HTTP/2 with servers that offer it; return whether that was possible.

    The client accepts this setting only in its constructor, which the provider's SDK has already called. So the
    setting is changed in the client's connection pool. If the pool does not expose the setting, requests use HTTP/1.1.
    """
    pools = [pool for pool in _pools(client) if hasattr(pool, "_http2")]
    for pool in pools:
        pool._http2 = True
    return bool(pools)


def wrap_transports(client: Any, wrapper: Callable[[Any], Any]) -> bool:
    """Wrap the transports of an HTTP client, including those for proxies; return whether that was possible.

    A transport that is already wrapped is not wrapped again. The client accepts transports only in its constructor,
    which has already been called. So this function changes private attributes of the client. If the client does not
    have these attributes, nothing changes.
    """
    if not hasattr(client, "_transport"):
        return False
    client._transport = _wrapped(client._transport, wrapper)
    mounts = getattr(client, "_mounts", {})
    for pattern, transport in list(mounts.items()):
        mounts[pattern] = transport and _wrapped(transport, wrapper)
    return True


def has_idle_connection(client: Any) -> bool:
    """Return whether an HTTP client has an idle open connection for its next request.

    If the result is False, `open_calls.connect` opens a connection with a HEAD request. If the pool does not expose its
    connections, the result is always False, and this request is sent even if a connection is open.
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
