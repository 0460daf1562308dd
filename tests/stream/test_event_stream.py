"""A stream watches for the client's disconnect only while a turn runs, and not at all if the turn ends at once.

Each stream has its own headers.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from layercode_app.journal.record import END, Frame
from layercode_app.stream import event_stream
from layercode_app.stream.event_stream import EventStream
from layercode_app.stream.frames import HEADERS

pytestmark = pytest.mark.anyio


class Client:
    """A client that hangs up when `gone` is set: `receive` then returns `http.disconnect`, as an ASGI server does."""

    def __init__(self) -> None:
        self.asked = 0
        self.gone = asyncio.Event()
        self.headers: list[tuple[bytes, bytes]] = []

    async def receive(self) -> Any:
        self.asked += 1
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """Take a message, and add headers to it as middleware does."""
        if message["type"] == "http.response.start":
            self.headers = list(message["headers"])
            message["headers"].append((b"x-request-id", b"1"))
            message["headers"] = [*message["headers"], (b"vary", b"Origin")]

    def stream(self) -> EventStream:
        return EventStream(self.receive, self.send, "t1")


async def test_a_turn_that_is_over_in_no_time_costs_no_look() -> None:
    client = Client()
    with client.stream() as stream:
        stream.listener.watch()
        await asyncio.sleep(0)
        stream.listener.rest()
        await asyncio.sleep(3 * event_stream.WATCH_AFTER_SECONDS)
    assert client.asked == 0


async def test_who_hangs_up_while_somebody_wants_to_know_has_left() -> None:
    client = Client()
    with client.stream() as stream:
        stream.listener.watch()
        client.gone.set()
        async with asyncio.timeout(1):
            await stream.listener.left.wait()


async def test_who_hung_up_before_is_noticed_at_once() -> None:
    client = Client()
    client.gone.set()
    with client.stream() as stream:
        await asyncio.sleep(2 * event_stream.WATCH_AFTER_SECONDS)
        assert not stream.listener.gone
        stream.listener.watch()
        for _ in range(3):
            await asyncio.sleep(0)
        assert stream.listener.gone


async def test_nobody_looks_after_the_end() -> None:
    client, before = Client(), asyncio.all_tasks()
    with client.stream() as stream:
        stream.listener.watch()
        await asyncio.sleep(3 * event_stream.WATCH_AFTER_SECONDS)
        assert client.asked == 1
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_headers_that_middleware_adds_to_one_stream_do_not_appear_in_the_next() -> None:
    for _ in range(2):
        client = Client()
        with client.stream() as stream:
            await stream.listener.catch_up([Frame(END)])
        assert client.headers == HEADERS
