"""A caller of the fleet. It records what was said and heard, so that a test can compare this with the journal."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from layercode_app.emulator.webhooks import WebhookClient
from layercode_app.exceptions import DeliveryError
from layercode_app.settings.limits import Limits

CLOSE = {"connection": "close"}
"""Headers that close the connection after a request, so that the proxy sends the next request to the next host."""
PAUSE_SECONDS = 0.2
END = "response.end"


@dataclass
class Said:
    """One turn as the caller knows it."""

    turn_id: str
    text: str
    spoken: str = ""
    whole: bool = False
    """Whether the caller heard the whole answer. If not, the caller spoke over it."""
    deliveries: int = 0

    @property
    def apologised(self) -> bool:
        """Whether the turn ended with the apology for an interrupted tool.

        The worker died while the tool ran. A tool is not run again, so another worker apologised.
        """
        return self.spoken.endswith(Limits().tool_apology)


@dataclass
class Caller:
    """A caller with one conversation. Each of its turns goes to another host."""

    client: WebhookClient
    name: str
    chance: random.Random
    said: list[Said] = field(default_factory=list)

    async def call(self, turns: int) -> None:
        for number in range(turns):
            kind = self.chance.choice(["whole", "whole", "interrupted", "twice"])
            what = self.chance.choice(["tell", "book"])
            turn = Said(f"{self.name}-{number}", f"{what} {number}")
            context = self._context()
            self.said.append(turn)
            if kind == "twice":
                await asyncio.gather(self._until_heard(turn, context), self._again(turn, context))
            else:
                frames = self.chance.randint(0, 6) if kind == "interrupted" else None
                await self._until_heard(turn, context, leave_after=frames)

    def _context(self) -> dict[str, Any]:
        """Return the fields that the platform adds to a message if the caller spoke over the previous turn, else {}."""
        if not self.said or self.said[-1].whole:
            return {}
        last = self.said[-1]
        heard = {"text_heard": last.spoken, "words_heard": len(last.spoken.split())}
        return {"interruption_context": {"previous_turn_interrupted": True, "assistant_turn_id": last.turn_id} | heard}

    async def _again(self, turn: Said, context: dict[str, Any]) -> None:
        """Deliver the same message once more, a moment later, and ignore the answer."""
        await asyncio.sleep(self.chance.uniform(0, 0.1))
        with suppress(DeliveryError):
            await self._deliver(Said(turn.turn_id, turn.text), context, None)

    async def _until_heard(self, turn: Said, context: dict[str, Any], *, leave_after: int | None = None) -> None:
        """Deliver a message again until it is answered, because a worker may be killed or may be shutting down."""
        while True:
            turn.spoken, turn.whole = "", False
            turn.deliveries += 1
            try:
                answered = await self._deliver(turn, context, leave_after)
            except DeliveryError:
                answered = False
            if answered and turn.spoken != Limits().busy:
                return
            leave_after = None
            await asyncio.sleep(PAUSE_SECONDS)

    async def _deliver(self, turn: Said, context: dict[str, Any], leave_after: int | None) -> bool:
        """Deliver the message of a turn. Return true if the caller heard the whole answer or left it on purpose.

        Return false if the message was refused, or if the answer broke off.
        """
        event = {"type": "message", "text": turn.text, "turn_id": turn.turn_id}
        ids = {"conversation_id": self.name, "session_id": "s"}
        async with self.client.deliver(ids | event | context, headers=CLOSE) as answer:
            if not answer.ok:
                return False
            seen = 0
            async for frame in answer.frames():
                if leave_after is not None and seen >= leave_after:
                    return True
                seen += 1
                turn.whole |= frame.type == END
                turn.spoken += frame.content if frame.type == "response.tts" else ""
        return turn.whole
