"""The HTTP client inside a model provider's client."""

from __future__ import annotations

from typing import Any


def http_client(model: Any) -> Any | None:
    """Return the HTTP client of a model's requests, or None if the provider's client does not show it.

    Without it the connection to the provider is opened by the first request.
    """
    return getattr(getattr(getattr(model, "provider", None), "client", None), "_client", None)
