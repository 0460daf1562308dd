"""A cheap load generator: raw sockets, requests that are signed in advance, one request per connection at a time."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from itertools import count
from typing import cast

from layercode_app.webhook import HEADER, sign

SECRET = "test-bench"
TEXT = "hello there"
"""What callers say, unless told otherwise."""
_ids = count(1)


def request(path: str, conversation_id: str, text: str = TEXT) -> bytes:
    """Return a new signed turn, as the bytes of an HTTP request."""
    turn = f"bench-{time.time_ns()}-{next(_ids)}"
    event = {
        "type": "message",
        "session_id": "bench",
        "conversation_id": conversation_id,
        "turn_id": turn,
        "text": text,
    }
    body = json.dumps(event).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"{HEADER}: {sign(body, SECRET)}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class Measured:
    """The time of each turn in milliseconds: to its first speech (`first`), and to its end (`total`).

    `seconds` is the time that all turns took together. `failures` is the number of turns that failed; a lost connection
    counts once, even if it had more turns to send.
    """

    seconds: float = 0.0
    first: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    failures: int = 0

    @property
    def per_second(self) -> float:
        return len(self.total) / self.seconds

    def percentile(self, which: float, *, first: bool = False) -> float:
        values = sorted(self.first if first else self.total)
        return values[min(int(len(values) * which / 100), len(values) - 1)]


class _Connection(asyncio.Protocol):
    """A client connection that sends its requests one after another.

    It measures when the first speech and the end of each answer arrive.
    """

    def __init__(self, requests: list[bytes], measured: Measured, pause: float) -> None:
        self._requests = iter(requests)
        self._measured = measured
        self._pause = pause
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio's classes but do not inherit from them.
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self._received = b""
        self._turn = request.partition(b'"turn_id": "')[2].partition(b'"')[0]
        self._spoke = False
        self._begun = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        now = (time.perf_counter() - self._begun) * 1000
        if not self._spoke and b"response.tts" in self._received:
            self._spoke = True
            self._measured.first.append(now)
        if not self._received.startswith(b"HTTP/1.1 200"):
            self._transport.abort()
        elif self._received.endswith(b"0\r\n\r\n"):
            self._measured.total.append(now)
            self._measured.failures += not (self._spoke and self._ended())
            asyncio.get_running_loop().call_later(self._pause, self._next) if self._pause else self._next()

    def _ended(self) -> bool:
        """Return whether the last frame is the end of this turn, not of another turn."""
        last = self._received[self._received.rfind(b"data: ") :]
        return b"response.end" in last and self._turn in last

    def close(self) -> None:
        """Disconnect, even during an answer."""
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._measured.failures += 1
            self.done.set_result(None)


async def drive(
    port: int,
    path: str,
    *,
    callers: int,
    turns: int,
    pause: float = 0.0,
    spread: float = 0.0,
    remembering: bool = True,
    limit: float = 120.0,
    text: str = TEXT,
) -> Measured:
    """Let each caller hold one conversation of `turns` turns; without `remembering`, each turn is a new conversation.

    The callers arrive within `spread` seconds. A turn fails if its answer is not a 200, says nothing, or does not end
    with the turn's own `response.end`. After `limit` seconds in all, turns that are not complete have failed.
    """
    measured = Measured()
    loop = asyncio.get_running_loop()
    run = time.time_ns()
    plans = [
        [request(path, f"c-{run}-{caller}-{0 if remembering else turn}", text) for turn in range(turns)]
        for caller in range(callers)
    ]

    async def call(number: int) -> None:
        await asyncio.sleep(spread * number / callers)
        _, connection = await loop.create_connection(
            lambda: _Connection(plans[number], measured, pause), "127.0.0.1", port
        )
        try:
            await connection.done
        finally:
            connection.close()

    begun = time.perf_counter()
    try:
        async with asyncio.timeout(limit):
            await asyncio.gather(*(call(number) for number in range(callers)))
    except TimeoutError:
        measured.failures += max(callers * turns - len(measured.total), 1)
    measured.seconds = time.perf_counter() - begun
    return measured
