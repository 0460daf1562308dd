"""Access Uvicorn's HTTP connections, their request-response cycles, and the server of this process."""

from __future__ import annotations

import signal
from array import array
from collections.abc import Iterable
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

CYCLE = (
    "body", "chunked_encoding", "default_headers", "disconnected", "flow", "keep_alive", "message_event", "more_body",
    "on_response", "response_complete", "response_started", "transport", "waiting_for_100_continue",
)  # fmt: skip
"""The attributes that `BodyReceive` and `StreamSend` read or set on uvicorn's `RequestResponseCycle`."""
FLOW = ("resume_reading", "write_paused")
"""The attributes of the cycle's `flow` (uvicorn's flow control) that `BodyReceive` and `StreamSend` use."""


class _Parser(httptools.HttpRequestParser):
    """A parser that ignores `Upgrade` headers, as HTTP allows. Uvicorn's parser stops at them, and drops the body."""

    def __init__(self, connection: CycleConnection) -> None:
        super().__init__(connection)
        self._connection = connection
        # As in uvicorn: accept more data after a request with `Connection: close`. Otherwise the parser raises an
        # error, and the request is not answered.
        self.set_dangerous_leniencies(lenient_data_after_close=True)

    @property
    def stops(self) -> bool:
        """Whether the header `Upgrade` is the reason why the parser stops at this request.

        False for a CONNECT request, because the parser stops at every CONNECT request, even without this header.
        """
        return self.should_upgrade() and self.get_method() != b"CONNECT"

    def feed_data(self, data: bytes | bytearray | memoryview | array[int]) -> None:
        """Parse data. If the parser stops at an `Upgrade` header, parse the request again without this header."""
        while True:
            try:
                return super().feed_data(data)
            except httptools.HttpParserUpgrade as stopped:
                if not self.stops:
                    raise
                data = self._head() + bytes(data[stopped.args[0] :])

    def _head(self) -> bytes:
        line = b"%s %s HTTP/%s\r\n" % (self.get_method(), self._connection.url, self.get_http_version().encode())
        headers = (b"%s: %s\r\n" % header for header in self._connection.headers if header[0] != b"upgrade")
        return b"".join([line, *headers, b"\r\n"])


class CycleConnection(HttpToolsProtocol):
    """An HTTP connection that lets a subclass replace the `receive` and `send` of each request. It has no WebSockets.

    If uvicorn lacks the private method `_start_asgi_task`, or its `RequestResponseCycle` has changed, uvicorn's own
    `receive` and `send` are used. They are slower, and drop the body of a client that has already disconnected.
    """

    parser: _Parser

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.parser = _Parser(self)

    def on_headers_complete(self) -> None:
        """Begin to answer the request. If the parser stops at this request, do nothing: it is parsed again later."""
        if not self.parser.stops:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note the end of the body. If the parser stops at this request, do nothing: it is parsed again later."""
        if not self.parser.stops:
            super().on_message_complete()

    def channels(self, cycle: Any, receive: Any, send: Any) -> tuple[Any, Any]:
        """Return the `receive` and `send` that the application gets for a request. Subclasses override this method.

        `cycle` is uvicorn's object for the request and its response.
        """
        return receive, send

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not is_known(cycle):
            super()._start_asgi_task(cycle, app)
            return

        def replaced(scope: Any, receive: Any, send: Any) -> Any:
            return app(scope, *self.channels(cycle, receive, send))

        super()._start_asgi_task(cycle, replaced)

    @property
    def answering(self) -> bool:
        """Whether a request is being answered; False if uvicorn does not show it."""
        # `cycle` is None before the first request, despite its annotation.
        return not getattr(getattr(self, "cycle", None), "response_complete", True)

    def parsed_bytes(self) -> int:
        """Return the size of the request line and the headers parsed so far, or 0 if uvicorn does not show them."""
        try:
            line = len(self.parser.get_method()) + len(self.url) + len("  HTTP/1.1\r\n\r\n")
            return line + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)
        except AttributeError:
            return 0


def is_known(cycle: Any) -> bool:
    """Return whether uvicorn's `RequestResponseCycle` has all the attributes that we use.

    The result is cached for each class of `cycle`.
    """
    kind = type(cycle)
    if kind not in _known:
        _known[kind] = _has(cycle, CYCLE) and _has(cycle.flow, FLOW)
    return _known[kind]


def _has(part: object, names: Iterable[str]) -> bool:
    return all(hasattr(part, name) for name in names)


_known: dict[type, bool] = {}


def server_of_this_process() -> uvicorn.Server | None:
    """Return the uvicorn server of this process, or None if it is not found.

    The SIGTERM handler is a method of the server, so the server is found through this handler. A worker process has no
    other way to find it. If the server is not found, uvicorn's signal handlers stay in place.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return server if isinstance(server, uvicorn.Server) else None
