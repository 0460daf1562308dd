"""Keep connections to the model providers open during calls, so that no turn waits for a TCP and TLS handshake."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any

from .._compat.openai import has_idle_connection, http_client
from ..observability import spans
from ..webhook import Event, Message, SessionEnd, SessionStart
from .models import models_of, single_models

if TYPE_CHECKING:
    from .voice_agent import VoiceAgent

CONNECT_SECONDS = 5.0
LOOK_SECONDS = 15.0
"""The interval between checks of the calls' connections. A provider may close idle connections after a minute."""
MOST_CALLS = 10_000
"""The maximum number of calls that are tracked; the call with the oldest event is dropped first."""
SILENT_SECONDS = 900.0
"""A call without an event for this long counts as ended, because its end event may have been lost."""


async def connect(voices: Iterable[VoiceAgent[Any, Any]]) -> None:
    """Send a HEAD request to each provider that has no idle connection, to open one. Errors are ignored."""
    with spans.upkeep():
        clients = {
            id(client): (client, model) for model in single_models(models_of(voices)) if (client := http_client(model))
        }
        await asyncio.gather(*[_connect(*pair) for pair in clients.values() if not has_idle_connection(pair[0])])


async def _connect(client: Any, model: Any) -> None:
    # Use the HTTP client of the model's requests, so that they reuse this connection.
    with suppress(Exception):
        await client.head(model.base_url, timeout=CONNECT_SECONDS)


class OpenCalls:
    """The open calls of this worker, by session. A timer keeps their agents' connections to the providers open."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[VoiceAgent[Any, Any], float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._connecting: set[asyncio.Task[None]] = set()

    def note(self, voice: VoiceAgent[Any, Any], event: Event) -> None:
        """Record that the call of this event is open or has ended. When it starts, connect to the model's provider."""
        if voice.agent is None:
            return
        if isinstance(event, SessionEnd):
            self._calls.pop(event.session_id, None)
        elif isinstance(event, SessionStart | Message):
            known = self._calls.pop(event.session_id, None) is not None
            self._calls[event.session_id] = (voice, time.monotonic())
            if not known:
                self._begin(voice, starts=isinstance(event, SessionStart))

    def open(self) -> None:
        """Start with a new event loop. Forget the calls and the timer of a loop that ended without `close()`."""
        self._calls.clear()
        self._connecting.clear()
        self._timer = None

    async def close(self) -> None:
        """Stop keeping connections open."""
        self._calls.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)

    def _begin(self, voice: VoiceAgent[Any, Any], *, starts: bool) -> None:
        if len(self._calls) > MOST_CALLS:
            del self._calls[next(iter(self._calls))]
        if starts:
            # If a call is first seen with a message, a turn is running, and its model request opens the connection.
            self._connect([voice])
        if self._timer is None:
            self._look_later()

    def _look_later(self) -> None:
        # Use an empty context: the timer would keep the context of the current turn, and all its objects, in memory.
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look, context=Context())

    def _look(self) -> None:
        self._timer = None
        oldest = time.monotonic() - SILENT_SECONDS
        self._calls = {session: call for session, call in self._calls.items() if call[1] > oldest}
        if self._calls:
            self._connect({id(voice): voice for voice, _ in self._calls.values()}.values())
            self._look_later()

    def _connect(self, voices: Iterable[VoiceAgent[Any, Any]]) -> None:
        task = asyncio.create_task(connect(list(voices)), name="model-connections")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
