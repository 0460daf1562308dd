"""Servers that are correct except for one fault in how they handle turns.

The docstring of each class states the rule of the protocol that the server breaks.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ..server import Event, RefusedError, Server


class RunsDuplicates(Server):
    """Breaks this rule: a turn that is delivered twice runs once."""

    def frames(self, event: Event) -> list[Event]:
        self.done.clear()
        return super().frames(event)


class RefusesDuplicates(Server):
    """Breaks this rule: both deliveries of a turn are answered, because the caller can hear either answer."""

    async def turn(self, event: Event, receive: Any, send: Any) -> None:
        if (event["conversation_id"], event["turn_id"]) in self.done:
            raise RefusedError(409, "known")
        await super().turn(event, receive, send)


class Forgets(Server):
    """Breaks this rule: the agent remembers the caller's words from earlier turns of the conversation."""

    def reply(self, event: Event) -> str:
        if "first" in event.get("text", ""):
            return "I do not know what you mean."
        return super().reply(event)


class RemembersBySession(Server):
    """Breaks this rule: the key of the history is conversation_id, because session_id changes with every connection."""

    def key(self, event: Event) -> str:
        return str(event["session_id"])


class MixesConversations(Server):
    """Breaks this rule: the words of one caller are not told to another caller."""

    def key(self, event: Event) -> str:
        return "everybody"


class ForgetsInterruptedTurns(Server):
    """Breaks this rule: the caller's words are in the history before the model is asked for its first token."""

    async def speak(self, event: Event, send: Any) -> None:
        said = len(self.said[self.key(event)])
        try:
            await super().speak(event, send)
        except asyncio.CancelledError:
            del self.said[self.key(event)][said:]
            raise


class HangsAfterAnInterruption(Server):
    """Breaks this rule: after an interruption has closed the connection, the next turn is still answered."""

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
    """Breaks this rule: several callers are answered at the same time."""

    pace = 0.15

    def __init__(self) -> None:
        super().__init__()
        self.lock = asyncio.Lock()

    async def speak(self, event: Event, send: Any) -> None:
        async with self.lock:
            await super().speak(event, send)


class SharesTheTurn(Server):
    """Breaks this rule: every answer belongs to its own turn, however many turns run at once."""

    current = ""

    async def speak(self, event: Event, send: Any) -> None:
        type(self).current = event["turn_id"]
        await super().speak(event, send)

    def encode(self, frame: Event) -> bytes:
        return super().encode(frame | {"turn_id": self.current})


class SlowToSpeak(Server):
    """Breaks this rule: speech begins soon. Less than 800 ms feels natural; many seconds of silence do not."""

    async def speak(self, event: Event, send: Any) -> None:
        await asyncio.sleep(2)
        await super().speak(event, send)
