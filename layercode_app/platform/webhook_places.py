"""Find the URL of an agent's webhook in the platform's description of the agent.

The platform's documentation names three places for the URL, and an update of one may leave the others unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

WEBHOOK_PLUGIN = "agent.webhook"
OWN = "webhook_url"
PLUGIN = f"config.plugins {WEBHOOK_PLUGIN}"
LEGACY = "config.endpoint"


def webhook_places(own: str | None, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the webhook URLs in an agent's description, by the place where each was found.

    The place with the highest precedence comes first. `own` is the agent's field `webhook_url`, and `config` is its
    configuration.
    """
    places = {
        OWN: own,
        PLUGIN: next(_plugin_urls(config.get("plugins")), None),
        LEGACY: _url_in(config.get("endpoint")),
    }
    return {place: url for place, url in places.items() if url}


def _plugin_urls(plugins: object) -> Iterator[str]:
    for plugin in plugins if isinstance(plugins, list) else ():
        if isinstance(plugin, dict) and plugin.get("use") == WEBHOOK_PLUGIN and (url := _url_in(plugin.get("options"))):
            yield url


def _url_in(value: object) -> str | None:
    """Return the URL in a value, else None. The value may be the URL, or an object with the field `url`.

    The object may also be encoded as a JSON text.
    """
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, dict):
        value = value.get("url")
    is_url = isinstance(value, str) and value.strip().lower().startswith(("http://", "https://"))
    return str(value).strip() if is_url else None


def same_url(one: str | None, other: str | None) -> bool:
    """Return whether two URLs are equal, ignoring a trailing slash and the case of scheme and host."""
    return one == other or (one is not None and other is not None and _spelt(one) == _spelt(other))


def _spelt(url: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return (url,)
    return (parts.scheme.lower(), parts.netloc.lower(), parts.path.rstrip("/"), parts.query)
