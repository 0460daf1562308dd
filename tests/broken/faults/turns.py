"""Servers that are right but for one fault of turns; in its docstring, what the protocol says of it."""

from __future__ import annotations

import asyncio
from typing import Any

from ..server import Event, RefusedError, Server


class RunsDuplicates(Server):
    """The same turn may arrive twice; it is one turn."""

    def frames(self, event: Event) -> list[Event]:
        self.done.clear()
        return super().frames(event)


class RefusesDuplicates(Server):
    """The same turn may arrive twice, and the second delivery may be the one that is heard."""

    async def turn(self, event: Event, receive: Any, send: Any) -> None:
        if (event["conversation_id"], event["turn_id"]) in self.done:
            raise RefusedError(409, "known")
        await super().turn(event, receive, send)


class Forgets(Server):
    """A conversation is one over its turns."""

    def reply(self, event: Event) -> str:
        if "first" in event.get("text", ""):
            return "I do not know what you mean."
        return super().reply(event)


class RemembersBySession(Server):
    """conversation_id is the key of history; session_id changes with every connection."""

    def key(self, event: Event) -> str:
        return str(event["session_id"])


class MixesConversations(Server):
    """What one caller said is not told to another."""

    def key(self, event: Event) -> str:
        return "everybody"


class ForgetsInterruptedTurns(Server):
    """The caller's words are in history before the first token is asked for."""

    async def speak(self, event: Event, send: Any) -> None:
        said = len(self.said[self.key(event)])
        try:
            await super().speak(event, send)
        except asyncio.CancelledError:
            del self.said[self.key(event)][said:]
            raise


class HangsAfterAnInterruption(Server):
    """An interruption closes the connection; the next turn is answered all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.locked: set[str] = set()

    async def speak(self, event: Event, send: Any) -> None:
        while self.key(event) in self.locked:
            await asyncio.sleep(0.05)
        self.locked.add(self.key(event))
        await super().speak(event, send)
        self.locked.discard(self.key(event))


class OneAtATime(Server):
    """Callers are answered at the same time."""

    pace = 0.15

    def __init__(self) -> None:
        super().__init__()
        self.lock = asyncio.Lock()

    async def speak(self, event: Event, send: Any) -> None:
        async with self.lock:
            await super().speak(event, send)


class SharesTheTurn(Server):
    """Every answer belongs to its own turn, however many run."""

    current = ""

    async def speak(self, event: Event, send: Any) -> None:
        type(self).current = event["turn_id"]
        await super().speak(event, send)

    def encode(self, frame: Event) -> bytes:
        return super().encode(frame | {"turn_id": self.current})


class SlowToSpeak(Server):
    """Under 800 ms feels natural; many seconds are dead air."""

    async def speak(self, event: Event, send: Any) -> None:
        await asyncio.sleep(2)
        await super().speak(event, send)
