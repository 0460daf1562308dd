"""Keeps the rest of the web away from a development server, which needs no password.

A page from anywhere may make a browser send requests to 127.0.0.1, and with DNS rebinding even read the answers. So the
`Host` must name this machine, an `Origin` must be a page of this machine, a body must be JSON (which makes a browser
ask first, and nobody answers), and what a proxy or a tunnel forwarded is refused.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOCAL = {"127.0.0.1", "localhost", "::1"}
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
    """Lets only this machine's own pages and programs through to an app; says why to everybody else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with 403 or 415, or pass on."""
        reason, status = refusal(scope)
        if reason:
            await _refuse(reason, status, scope, receive, send)
            return
        await self._app(scope, receive, _with_headers(send) if scope["type"] == "http" else send)


def refusal(scope: Scope) -> tuple[str, int]:
    """Why a request is refused, and the status; an empty reason lets it through."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if forwarded := FORWARDED & headers.keys():
        return f"The dev page is for this machine only; this request was forwarded ({min(forwarded).decode()}).", 403
    host = headers.get(b"host", b"").decode("latin-1")
    if _name(f"//{host}") not in LOCAL:
        return f"Host {host[:100]!r} is not this machine; open http://127.0.0.1 with this port.", 403
    origin = headers.get(b"origin")
    if origin is not None and _name(origin.decode("latin-1")) not in LOCAL:
        return f"Origin {origin.decode('latin-1')[:100]!r} is not a page of this machine.", 403
    return _wrong_body(scope, headers)


def _wrong_body(scope: Scope, headers: dict[bytes, bytes]) -> tuple[str, int]:
    if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
        return "", 200
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return ("", 200) if kind == b"application/json" else ("Expected content-type application/json.", 415)


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
