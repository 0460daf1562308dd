"""ASGI helpers for the hot path: read a body within limits, answer with JSON."""

from __future__ import annotations

from typing import Any

from ..conversation.timeout import Timeout, under
from ..exceptions import PayloadTooLargeError, PlatformError
from ..journal.record import Json
from ..stream.event_stream import Message, Receive, Send
from ..wellformed import dump_json

MOST_DIGITS = 18
"""Maximum digits of a content-length. A longer number exceeds any limit anyway, and Python may refuse to parse it."""
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
"""Headers of every answer except streams. The answers are for programs, so a browser must not run or cache them.

`secured` adds only the first and the third header to an HTML page.
"""

Scope = Any
"""An ASGI scope: a dictionary whose keys depend on its type."""


class DisconnectedError(PlatformError):
    """The client disconnected before the body of its request had arrived."""


class BodyTimeoutError(PlatformError):
    """The body did not arrive in time."""

    status = 408


def header(scope: Scope, name: bytes) -> str | None:
    """Return a request header decoded as Latin-1, which never fails; None when it is missing."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


def route_path(scope: Scope) -> str:
    """Return the path below the mount point of this app. The slash that Litestar adds at the end is removed."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    below = path.removeprefix(root)
    # Without this check, the root path /a of a proxy would match /api/agent.
    return (below if below[:1] in ("", "/") else path).rstrip("/") or "/"


def without_slash(scope: Scope) -> Scope:
    """Return the scope without the slash at the end of its path.

    If nothing but the slash follows the mount point, return the scope unchanged.
    """
    path = str(scope["path"])
    return {**scope, "path": path.rstrip("/")} if path.endswith("/") and route_path(scope) != "/" else scope


async def read_body(scope: Scope, receive: Receive, *, limit: int, seconds: float) -> bytes:
    """Return the whole body.

    Raises PayloadTooLargeError over `limit` bytes, BodyTimeoutError if it arrives too slowly, and DisconnectedError if
    the client disconnects first.
    """
    stated = header(scope, b"content-length")
    if stated is not None and stated.isdecimal() and (len(stated) > MOST_DIGITS or int(stated) > limit):
        raise PayloadTooLargeError(f"The body has {stated} bytes; at most {limit} are accepted.")
    try:
        first = await under(Timeout(seconds), receive())
    except TimeoutError:
        raise BodyTimeoutError(f"The body did not arrive within {seconds:g} s.") from None
    body: bytes = first.get("body", b"")
    if first["type"] == "http.disconnect":
        raise DisconnectedError("The client closed the connection before the whole body had arrived.")
    if first.get("more_body", False):
        body += await _rest(receive, limit - len(body), seconds)
    if len(body) > limit:
        raise PayloadTooLargeError(f"The body has over {limit} bytes; at most {limit} are accepted.")
    return body


async def _rest(receive: Receive, room: int, seconds: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        with Timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise DisconnectedError("The client closed the connection before the whole body had arrived.")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > room:
                    raise PayloadTooLargeError("The body exceeds the limit.")
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise BodyTimeoutError(f"The body did not arrive within {seconds:g} s.") from None


async def send_json(
    send: Send, value: Json, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Answer with JSON."""
    body = dump_json(value)
    own = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send(
        {"type": "http.response.start", "status": status, "headers": [*own, *SECURITY_HEADERS, *(headers or [])]}
    )
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, status: int, reason: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    """Answer with `{"error": reason}`, as the platform's own API does."""
    await send_json(send, {"error": reason}, status, headers)


def secured(send: Send) -> Send:
    """Return a `send` that adds security headers to a response. A header that the response already has is kept.

    The headers that restrict content, framing and caching are not added to an HTML page. These headers are meant
    for answers to programs. For example, they would block the scripts and styles of a page.
    """

    async def send_secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", ()))
            names = {name.lower() for name, _ in given}
            page = any(name.lower() == b"content-type" and b"html" in value for name, value in given)
            left_out = {b"content-security-policy", b"cache-control", b"x-frame-options"} if page else set()
            more = [(name, value) for name, value in SECURITY_HEADERS if name not in names | left_out]
            message = {**message, "headers": [*given, *more]}
        await send(message)

    return send_secured
