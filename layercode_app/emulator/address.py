"""Complete the address of a webhook: add a missing scheme and a missing path."""

from __future__ import annotations

import re

from ..exceptions import ConfigurationError
from .webhooks import check_url, is_loopback

DEFAULT_PATH = "/api/agent"
_HOST = re.compile(r"(?P<host>\[[^\]]*\]|[^/?#:]*)(?::(?P<port>\d+))?(?=[/?#]|$)")
_IP_ADDRESS = re.compile(r"\d+(\.\d+){3}|\[.*\]")


def is_address(text: str) -> bool:
    """Return whether a text is a webhook's address rather than an agent's name.

    A host name alone counts as a name, except `localhost`.
    """
    host = _HOST.match(text)
    if "/" in text or host is None:
        return "/" in text
    return bool(host["port"] or host["host"] == "localhost" or _IP_ADDRESS.fullmatch(host["host"]))


def webhook_url(address: str, *, agent: str = "") -> str:
    """Return the URL of an address such as `localhost:8000`, `host/path` or `https://host`.

    A missing scheme is added: https for port 443, and http for any other port. Without a port, http is added for this
    machine and for IP addresses, and https for all other hosts. If path and query are missing, the path of the agent's
    webhook is added, or `/api/agent` if `agent` is empty. Raises ConfigurationError for a text that is no address, such
    as a single word.
    """
    text = address.strip()
    if not is_address(text) and "." not in text.strip("."):
        raise ConfigurationError(
            f"{address!r} is not the address of a webhook; expected one such as localhost:8000 or https://host/path."
        )
    url = text if "://" in text else f"{_scheme(text)}://{text}"
    if check_url(url).path != "/" or "?" in url:
        return url
    return url.partition("#")[0].rstrip("/") + (f"/api/agents/{agent}" if agent else DEFAULT_PATH)


def _scheme(text: str) -> str:
    found = _HOST.match(text)
    if found is None or found["port"] == "443":
        return "https"
    host = found["host"]
    return "http" if found["port"] or is_loopback(host) or _IP_ADDRESS.fullmatch(host) else "https"
