"""Which pages may ask for a session: the rules of browsers (CORS), and our list."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

LOCAL_ORIGINS = ("http://localhost:*", "http://127.0.0.1:*", "https://localhost:*")
"""What `dev` allows: pages of this machine, on whatever port."""
Headers = list[tuple[bytes, bytes]]


def allowed(origin: str | None, host: str | None, rules: Sequence[str]) -> bool:
    """Whether a page of this origin may ask. No origin means no browser: the other guards are for those."""
    if origin is None:
        return True
    return _same_host(origin, host) or any(_matches(origin, rule) for rule in rules)


def _same_host(origin: str, host: str | None) -> bool:
    # The scheme is not compared: behind a proxy that ends TLS we do not know the page's.
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == str(host).lower()
    except ValueError:  # such as http://[
        return False


def _matches(origin: str, rule: str) -> bool:
    if rule == "*":
        return True
    if rule.endswith(":*"):
        rest = origin.lower().removeprefix(rule.lower().removesuffix(":*"))
        return rest == "" or (rest != origin.lower() and rest[:1] == ":" and rest[1:].isdigit())
    return origin.lower() == rule.lower().rstrip("/")


def cors_headers(origin: str | None, rules: Sequence[str]) -> Headers:
    """What lets the page read the answer. Cookies only for origins that were named, never for `*` alone."""
    headers: Headers = [(b"vary", b"Origin")]
    if origin is not None:
        headers.append((b"access-control-allow-origin", origin.encode("latin-1", "replace")))
        if any(rule != "*" and _matches(origin, rule) for rule in rules):
            headers.append((b"access-control-allow-credentials", b"true"))
    return headers


def preflight_headers(asked: str | None) -> Headers:
    """What a browser wants to know before it sends the request itself."""
    names = (asked or "content-type").encode("latin-1", "replace")
    return [
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", names),
        (b"access-control-max-age", b"600"),
    ]
