"""Write the chunks of a stream to uvicorn's connection, at a fifth of the cost of uvicorn's own `send`.

Uvicorn checks each header of each answer with two regular expressions. All streams have the same head, so it is built
only when its date changes, once a second. Everything except streams is sent by uvicorn.

Each message is one write, because every write sends a packet and wakes the reader.
"""

from __future__ import annotations

from typing import Any

from ..stream.event_stream import START, Message, Send

_CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
_LAST = b"\r\n0\r\n\r\n"


class StreamSend:
    """An ASGI `send` that replaces the `send` of uvicorn's request-response cycle."""

    __slots__ = ("_cycle", "_head", "_send", "_streaming")

    def __init__(self, cycle: Any, send: Send) -> None:
        self._cycle = cycle
        self._send = send
        self._streaming = False
        self._head = b""
        """The head of the response. It waits for the first chunk, so that both are sent in one write and one packet."""

    async def __call__(self, message: Message) -> None:
        """Send a message.

        A message that equals `START` begins a stream. This message is held back, and sent together with the first chunk
        of the stream. So the first chunk must follow at once.
        """
        cycle = self._cycle
        if cycle.flow.write_paused or cycle.disconnected:
            await self._as_uvicorn(message)
        elif self._streaming and (body := message.get("body")):
            self._send_piece(body, last=not message.get("more_body"))
        elif message == START and cycle.keep_alive and not cycle.response_started:
            self._begin()
        else:
            await self._as_uvicorn(message)

    def _send_piece(self, body: bytes, *, last: bool) -> None:
        cycle = self._cycle
        cycle.transport.write(b"%b%x\r\n%b%b" % (self._head, len(body), body, _LAST if last else b"\r\n"))
        self._head = b""
        if last:
            self._streaming, cycle.response_complete = False, True
            cycle.message_event.set()
            if not cycle.keep_alive:
                cycle.transport.close()
            cycle.on_response()

    async def _as_uvicorn(self, message: Message) -> None:
        if self._head:
            self._cycle.transport.write(self._head)
            self._head = b""
        await self._send(message)

    def _begin(self) -> None:
        cycle = self._cycle
        self._streaming = cycle.response_started = cycle.chunked_encoding = True
        cycle.waiting_for_100_continue = False
        self._head = _heads.of(cycle.default_headers)


class _Heads:
    """A cache of the response head of event streams. It is rebuilt when uvicorn's default headers change."""

    def __init__(self) -> None:
        self._made: tuple[object, bytes] = (None, b"")

    def of(self, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return the response head: the status line, uvicorn's default headers, and the headers of an event stream."""
        known, head = self._made
        if known is not default_headers:
            headers = [*default_headers, *START["headers"]]
            lines = [b"%b: %b\r\n" % header for header in headers]
            head = b"HTTP/1.1 200 OK\r\n" + b"".join(lines) + _CHUNKED
            # Store both in one assignment. Compare by identity: uvicorn makes a new list when a header changes.
            self._made = (default_headers, head)
        return head


_heads = _Heads()
