"""Decide which web pages may request a session, and build the CORS headers of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

LOCAL_ORIGINS = ("http://localhost:*", "http://127.0.0.1:*", "https://localhost:*")
"""The origins that `dev` allows: pages of this machine, on any port."""
Headers = list[tuple[bytes, bytes]]


def allowed(origin: str | None, host: str | None, rules: Sequence[str]) -> bool:
    """Return whether a page of this origin may request a session.

    A request without an origin does not come from a browser. This function allows the request, but `authorize.py` makes
    further checks, such as the rate limit and the hooks.
    """
    if origin is None:
        return True
    return _same_host(origin, host) or any(_matches(origin, rule) for rule in rules)


def _same_host(origin: str, host: str | None) -> bool:
    # Do not compare the scheme: behind a proxy that terminates TLS we do not know the client's scheme.
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == str(host).lower()
    except ValueError:  # for an invalid origin such as http://[
        return False


def _matches(origin: str, rule: str) -> bool:
    if rule == "*":
        return True
    if rule.endswith(":*"):
        rest = origin.lower().removeprefix(rule.lower().removesuffix(":*"))
        return rest == "" or (rest != origin.lower() and rest[:1] == ":" and rest[1:].isdigit())
    return origin.lower() == rule.lower().rstrip("/")


def cors_headers(origin: str | None, rules: Sequence[str]) -> Headers:
    """Return the headers that let the page read the answer.

    They allow credentials only for origins that a rule names, never for `*` alone.
    """
    headers: Headers = [(b"vary", b"Origin")]
    if origin is not None:
        headers.append((b"access-control-allow-origin", origin.encode("latin-1", "replace")))
        if any(rule != "*" and _matches(origin, rule) for rule in rules):
            headers.append((b"access-control-allow-credentials", b"true"))
    return headers


def preflight_headers(asked: str | None) -> Headers:
    """Return the headers that answer a preflight request; `asked` is its Access-Control-Request-Headers."""
    names = (asked or "content-type").encode("latin-1", "replace")
    return [
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", names),
        (b"access-control-max-age", b"600"),
    ]
