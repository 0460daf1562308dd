"""The dev page's API for simulated callers: list callers and calls, and start, stop or listen to a call."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ...journal.record import Json
from ..bodies import json_answer, read
from ..feed import Feed
from .live import encode, events
from .simulated import SimulationRequest
from .source import Source

CLOSED = "closed"
"""The type of the last message to a page that listens to a call."""


async def list_callers(source: Source, request: Request) -> Response:
    """Answer with the callers to choose from."""
    return json_answer(await source.simulated.callers())


async def list_calls(source: Source, request: Request) -> Response:
    """Answer with the latest simulated calls."""
    return json_answer({"calls": source.simulated.calls()})


async def start_call(source: Source, request: Request) -> Response:
    """Start a call."""
    return json_answer(await source.simulated.start(await read(request, SimulationRequest)), 201)


async def stop_call(source: Source, request: Request) -> Response:
    """Stop a call."""
    return json_answer(source.simulated.stop(request.path_params["conversation_id"]))


async def listen_to_call(source: Source, request: Request) -> Response:
    """Stream the messages of a call, as a browser would receive them from the platform."""
    feed, current, over = source.simulated.listen(request.path_params["conversation_id"])
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    stream = _only_the_end() if over else _messages(source, feed, current)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _only_the_end() -> AsyncIterator[bytes]:
    yield encode({"type": CLOSED, "reason": ""})


async def _messages(source: Source, feed: Feed, current: list[Json]) -> AsyncIterator[bytes]:
    stream = events(feed, source.closing)
    # When the first item arrives, the subscription has begun. Copy `current` at this moment, so that no message is lost
    # or sent twice.
    beginning = await anext(stream)
    known = list(current)
    yield beginning
    for message in known:
        yield encode(message)
    async for item in stream:
        yield item
