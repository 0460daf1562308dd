"""Log and count each HTTP request: method, path, status, duration and the headers that may be logged."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

from loguru import logger

from ..observability import context, metrics, request_spans
from ..stream.event_stream import Message, Send
from .asgi import Scope

PROBES = ("/health", "/ready", "/metrics")
"""Paths that monitoring systems request every few seconds; they are logged at DEBUG level only."""
LONGEST_PATH = 200
_REASONS = {404: "no such path", 405: "method not allowed"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Logged:
    """Counts each request when it ends. Also logs the request, unless the log line of a turn describes it already.

    Use it as `with logged.during(scope) as request`. `headers` are the names of the headers that may be logged.
    """

    def __init__(self, headers: Sequence[str]) -> None:
        self._names = frozenset(name.lower().encode() for name in headers)

    def during(self, scope: Scope) -> _During:
        """Return a context manager that logs and counts the request when its block ends."""
        return _During(
            context.Request(str(scope["method"])[:16], _path(scope), time.perf_counter(), self._headers(scope))
        )

    def _headers(self, scope: Scope) -> dict[str, str]:
        shown: dict[str, str] = {}
        for key, value in scope["headers"]:
            if key in self._names:
                shown[key.decode("latin-1")] = value.decode("ascii", "backslashreplace")[:LONGEST_PATH]
        return shown


class _During:
    """The context of one request. It is a class, because a generator would cost three times as much."""

    __slots__ = ("_request", "_token")

    def __init__(self, request: context.Request) -> None:
        self._request = request

    def __enter__(self) -> context.Request:
        self._token = context.request.set(self._request)
        context.isolate()
        return self._request

    def __exit__(self, *_: object) -> None:
        request = self._request
        context.request.reset(self._token)
        if not request.logged:
            _log(request)
        if not request.traced and (request.status or 0) >= 400:
            _trace_refusal(request)
        if metrics.on():
            metrics.add(metrics.REQUESTS, 1, *_labels(request.method, request.path, request.status))


def _trace_refusal(request: context.Request) -> None:
    """Create a span for a refused request that has none yet, unless a monitoring system sent the request."""
    if not request.path.endswith(PROBES):
        request.refusal = request.refusal or _REASONS.get(request.status or 0, "")
        request_spans.refused(request)


def answered() -> AbstractContextManager[None]:
    """Return a context manager that opens a span for the current request.

    Webhook requests do not use it, because the webhook endpoint opens their spans itself.
    """
    request = context.request.get()
    return nullcontext() if request is None else request_spans.answered(request)


def watched(send: Send, request: context.Request) -> Send:
    """Return a `send` that stores the status of the answer in `request`."""

    def send_watched(message: Message) -> Awaitable[None]:
        if request.status is None and message["type"] == "http.response.start":
            request.status = message["status"]
        return send(message)

    return send_watched


def _path(scope: Scope) -> str:
    """Return the path as it was sent, still percent-encoded, so that it cannot break a log line."""
    raw = scope.get("raw_path") or str(scope["path"]).encode("ascii", "backslashreplace")
    return _shown(raw) if len(raw) <= LONGEST_PATH else _shown.__wrapped__(raw)


@lru_cache(maxsize=256)
def _shown(raw: bytes) -> str:
    return bytes(raw).partition(b"?")[0].decode("ascii", "backslashreplace")[:LONGEST_PATH]


def _log(request: context.Request) -> None:
    milliseconds = round((time.perf_counter() - request.started) * 1000, 3)
    fields = {"headers": request.headers} if request.headers else {}
    level = "DEBUG" if request.path in PROBES else "INFO"
    logger.bind(
        event="request",
        method=request.method,
        path=request.path,
        http_status=request.status,
        duration_ms=milliseconds,
        **fields,
    ).log(level, "{} {} {} in {} ms", request.method, request.path, request.status or "unanswered", milliseconds)


@lru_cache(maxsize=256)
def _labels(method: str, path: str, status: int | None) -> tuple[str, str, str]:
    """Return method, route and status as metric labels. All unknown paths share one label, to bound their number."""
    known = path in PROBES or path.endswith(("/agent", "/authorize")) or "/api/agents/" in path
    ours = known and status not in (404, 405)
    route = ("/api/agents/*" if "/api/agents/" in path else path) if ours else "other"
    return method if method in METHODS else "other", route, str(status or "none")
