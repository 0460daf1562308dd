"""Protect the development server and the emulator, which need no password, from foreign pages.

Any web page can make a browser send requests to 127.0.0.1, and with DNS rebinding even read the answers. So the `Host`
must name this machine, an `Origin` must be a page of this machine, and requests forwarded by a proxy or a tunnel are
refused. The same rules apply to WebSockets. A request body for the dev page must be JSON: before a foreign page may
send JSON, the browser makes a CORS preflight request, which fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOCAL = {"127.0.0.1", "localhost", "::1"}
HOSTS = LOCAL | {"host.docker.internal", "gateway.docker.internal", "host.containers.internal"}
"""Names of this machine, including those that its containers use. No foreign page can have such a host name."""
FORWARDED = {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"cf-connecting-ip"}
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Guard:
    """Middleware that accepts only requests from pages and programs of this machine.

    A refusal says why. With `page`, answers get the security headers of a page, and request bodies must be JSON.
    """

    def __init__(self, app: ASGIApp, *, page: bool = True) -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with 403 or 415."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        reason, status = foreign(headers), 403
        if not reason and self._page and _has_wrong_body(scope, headers):
            reason, status = "Expected content-type application/json.", 415
        if reason:
            await _refuse(reason, status, scope, receive, send)
            return
        await self._app(scope, receive, _with_headers(send) if self._page and scope["type"] == "http" else send)


def foreign(headers: Mapping[bytes, bytes]) -> str:
    """Return the reason why a request is foreign, or "" if it comes from a page or program of this machine."""
    if forwarded := FORWARDED & headers.keys():
        return f"Only this machine may use this server, but the request was forwarded ({min(forwarded).decode()})."
    host = headers.get(b"host", b"").decode("latin-1")
    if _name(f"//{host}") not in HOSTS:
        return f"Host {host[:100]!r} is not this machine; open http://127.0.0.1 with this port."
    origin = headers.get(b"origin")
    if origin is not None and _name(origin.decode("latin-1")) not in LOCAL:
        return f"Origin {origin.decode('latin-1')[:100]!r} is not a page of this machine."
    return ""


def _has_wrong_body(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
        return False
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json"


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


async def _refuse(reason: str, status: int, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason[:120]})
        return
    await JSONResponse({"error": reason}, status)(scope, receive, send)


def _with_headers(send: Send) -> Send:
    async def guarded(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
        await send(message)

    return guarded
