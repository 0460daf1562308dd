"""The simulated caller's side of an emulated call: say a line, listen to the reply, and speak over it."""

from __future__ import annotations

import asyncio
from typing import Any

from ....emulator.agents import Grant
from ....emulator.emulator import Emulator
from ....emulator.feed import Feed
from ....emulator.turn import AssistantTurn
from ....emulator.webhooks import Received
from ....journal.record import HANGUP, TTS
from ...turn import HeardTurn
from ..scenario import Step
from .call_watch import CallWatch

POLL_SECONDS = 0.02
"""Seconds between two checks of how much of a reply was played."""
SILENT_SECONDS = 1.5
"""Seconds that a silent caller waits before they go on."""
PAUSE_SECONDS = 0.4
"""Seconds between the end of a reply and the caller's next words."""


class Line:
    """The connection of a simulated caller. It must be closed with `close`.

    `messages` publishes every message that a browser would receive, with its audio.
    """

    def __init__(self, emulator: Emulator, grant: Grant, watch: CallWatch) -> None:
        self.messages = Feed()
        self.current: list[dict[str, Any]] = []
        """The messages of the current turn without audio, for a browser that begins to listen now."""
        self.closed_because: str | None = None
        """Why the platform closed the connection: `hangup` if the agent hung up, `timeout`, or another reason."""
        self._emulator, self._watch = emulator, watch
        self._silences = 0
        self._session = emulator.open(grant, send=self._receive, hang_up=self._hung_up)

    async def take(self, step: Step) -> HeardTurn | None:
        """Take one step, wait until its turn is over, and return the turn.

        Return None if the connection closed before the turn began. For a step in which the caller stays silent, return
        an empty turn after the silence, or None if the connection closed before the silence ended.
        """
        if step.say is not None and not step.say.strip():
            return await self._stay_silent()
        known = len(self._session.turns)
        self._watch.tool_started.clear()
        if step.say is None:
            self._session.receive({"type": "client.ready"})
        else:
            await asyncio.sleep(PAUSE_SECONDS)
            self._session.receive({"type": "client.response.text", "content": step.say})
        if len(self._session.turns) == known:
            return None
        turn = self._session.turns[known]
        await self._listen(turn, step)
        return heard_turn(turn)

    async def close(self) -> None:
        """Hang up: the agent gets `session.end`."""
        await self._emulator.close(self._session)

    async def _listen(self, turn: AssistantTurn, step: Step) -> None:
        """Wait until the turn is over, and interrupt it at the point that the step gives, if any."""
        waiting = True
        while not turn.over and self.closed_because is None:
            if waiting and self._is_due(turn, step):
                waiting = False
                self._session.receive({"type": "trigger.turn.start", "role": "user"})
                self._session.receive({"type": "trigger.turn.end", "role": "user"})
            else:
                await asyncio.sleep(POLL_SECONDS)

    def _is_due(self, turn: AssistantTurn, step: Step) -> bool:
        if step.in_tool:
            return self._watch.tool_started.is_set()
        if not isinstance(step.interrupt, int) or (step.playing and not turn.closed):
            return False
        words = len(turn.playback.heard(asyncio.get_running_loop().time()).split())
        return turn.accepted and words >= step.interrupt

    async def _stay_silent(self) -> HeardTurn | None:
        """Wait, and return an empty turn, or None if the connection closed.

        The platform sends the agent no event while a caller is silent, so the journal has no record of this turn.
        """
        await asyncio.sleep(SILENT_SECONDS)
        self._silences += 1
        return HeardTurn(f"silence-{self._silences}", "", 0) if self.closed_because is None else None

    def _receive(self, message: dict[str, Any]) -> None:
        turn = _turn_of(message)
        cut = message["type"] == "turn.end"
        if cut or (turn and self.current and _turn_of(self.current[-1]) != turn):
            # The turn in `current` is over: from now on, browsers read it from the journal.
            self.current.clear()
        if not cut and message["type"] != "response.audio":
            self.current.append(message)
        self.messages.publish(message)

    def _hung_up(self, reason: str) -> None:
        self.closed_because = self.closed_because or reason


def _turn_of(message: dict[str, Any]) -> str:
    return str(message.get("turn_id") or "").removeprefix("user-")


def heard_turn(turn: AssistantTurn) -> HeardTurn:
    """Convert a turn of the emulator to a `HeardTurn`, with the words that the caller heard."""
    frames = [Received(0.0, {"type": TTS, "content": turn.text})] if turn.text else []
    frames += [Received(0.0, {"type": HANGUP})] if turn.hangup else []
    heard = HeardTurn(turn.id, turn.said_by_user or "", 200 if turn.accepted else 0, frames)
    heard.interrupted, heard.heard = turn.interrupted == "user", turn.heard or ""
    return heard
