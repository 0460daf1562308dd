"""Keep connections to the models' providers open while calls are open, so that no turn waits for TCP and TLS."""

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
"""How often the connections of open calls are checked. A provider may close idle ones after a minute."""
MOST_CALLS = 10_000
"""How many calls are known; the one that was silent for the longest time is forgotten first."""
SILENT_SECONDS = 900.0
"""A call without an event for this long is over: the event of its end may have been lost."""


async def connect(voices: Iterable[VoiceAgent[Any, Any]]) -> None:
    """Send a HEAD request to each model's provider that has no idle connection. It uses no tokens; errors are ignored."""
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
    """The calls that are open in this worker, by session. A timer keeps the connections of their agents open."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[VoiceAgent[Any, Any], float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._connecting: set[asyncio.Task[None]] = set()

    def note(self, voice: VoiceAgent[Any, Any], event: Event) -> None:
        """Note that a call began, goes on or ended. At its start a connection is opened in the background."""
        if voice.agent is None:
            return
        if isinstance(event, SessionEnd):
            self._calls.pop(event.session_id, None)
        elif isinstance(event, SessionStart | Message):
            known = self._calls.pop(event.session_id, None) is not None
            self._calls[event.session_id] = (voice, time.monotonic())
            if not known:
                self._begin(voice, starts=isinstance(event, SessionStart))

    async def close(self) -> None:
        """Stop keeping connections open."""
        self._calls.clear()
        if self._timer is not None:
            self._timer.cancel()
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)

    def _begin(self, voice: VoiceAgent[Any, Any], *, starts: bool) -> None:
        if len(self._calls) > MOST_CALLS:
            del self._calls[next(iter(self._calls))]
        if starts:
            # Otherwise the turn itself opens a connection now.
            self._connect([voice])
        if self._timer is None:
            self._look_later()

    def _look_later(self) -> None:
        # In a context of its own: that of a turn would be held, with all that the turn refers to.
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
