"""One log line per HTTP request: method, path, status, duration, the headers that may be logged; and its count."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

from loguru import logger

from ..observability import context, metrics, request_spans
from ..stream.response import Message, Send
from .asgi import Scope

PROBES = ("/health", "/ready", "/metrics")
"""Asked every few seconds by machines: only a debug run logs them."""
LONGEST_PATH = 200
_REASONS = {404: "nothing is there", 405: "another method is answered there"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Logged:
    """Logs each request when it ends, unless the line of its turn has told it already, and counts it.

    Used as `with logged.during(scope) as request`; `headers` are the names of those that may be logged.
    """

    def __init__(self, headers: Sequence[str]) -> None:
        self._names = frozenset(name.lower().encode() for name in headers)

    def during(self, scope: Scope) -> _During:
        """What is logged when the block ends."""
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
    """The time that one request takes. A class, because it costs a third of a generator."""

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
    """A span for a request that had none, but for those of machines that ask every few seconds."""
    if not request.path.endswith(PROBES):
        request.refusal = request.refusal or _REASONS.get(request.status or 0, "")
        request_spans.refused(request)


def answered() -> AbstractContextManager[None]:
    """The span of the current request, where it is no event of the platform's."""
    request = context.request.get()
    return nullcontext() if request is None else request_spans.answered(request)


def watched(send: Send, request: context.Request) -> Send:
    """Takes note of the status that is answered."""

    def send_watched(message: Message) -> Awaitable[None]:
        if request.status is None and message["type"] == "http.response.start":
            request.status = message["status"]
        return send(message)

    return send_watched


def _path(scope: Scope) -> str:
    """The path as it was sent, still percent-encoded, so that it cannot break a line of the log."""
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
    """Method, route and status for the count; paths that are not ours share one label: there is no end to them."""
    known = path in PROBES or path.endswith(("/agent", "/authorize")) or "/api/agents/" in path
    ours = known and status not in (404, 405)
    route = ("/api/agents/*" if "/api/agents/" in path else path) if ours else "other"
    return method if method in METHODS else "other", route, str(status or "none")
