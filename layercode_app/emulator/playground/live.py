"""The live feed as Server-Sent Events: the emulator's events, and changes of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ...journal.record_json import to_json
from ..feed import Feed, Item

HEARTBEAT_SECONDS = 15.0
HEARTBEAT = b": still here\n\n"


async def events(feed: Feed, closing: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield each new item, and heartbeats, until the client disconnects or the server closes."""
    stopping = asyncio.ensure_future(closing.wait())
    with feed.subscribe() as items:
        yield HEARTBEAT
        following = asyncio.ensure_future(anext(items))
        try:
            while not stopping.done():
                done, _ = await asyncio.wait(
                    {stopping, following}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if following in done:
                    yield encode(following.result())
                    following = asyncio.ensure_future(anext(items))
                elif not done:
                    yield HEARTBEAT
        finally:
            stopping.cancel()
            following.cancel()


def encode(item: Item) -> bytes:
    """Encode an item as a Server-Sent Event."""
    return b"data: " + to_json(item) + b"\n\n"
