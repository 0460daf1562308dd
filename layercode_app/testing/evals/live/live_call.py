"""A simulated caller calls a running agent. The call runs in real time, can be stopped, and is graded at its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ....emulator.webhooks import Received
from ....exceptions import CallerError, LayerCodeError
from ....journal.record import TurnRecord
from ....journal.stores.base import Store
from ...turn import HeardTurn
from ..scenario import Scenario, Step
from ..simulated.caller_spec import CallerSpec
from ..simulated.grade import call_of
from ..simulated.mind import Mind
from ..simulated.simulated_caller import SimulatedCaller
from .call_watch import CallWatch
from .checks import Check, checks_of
from .ending import STOPPED, Ending, ending_of, failed, sentence
from .line import POLL_SECONDS, Line

LINE_SECONDS: Final = 75.0
"""Seconds that a caller gets to choose a line. A caller's model has a shorter timeout of its own."""
LONGEST_SECONDS: Final = 1800.0
"""Maximum length of a call in seconds."""
END_SECONDS: Final = 10.0
"""Seconds to wait after the call for the `on_session_end` hooks, and for the journal."""


@dataclass(frozen=True)
class LiveCaller:
    """A simulated caller: scenario, `caller:` spec, the mind that chooses the words, and the seed of the behaviour."""

    scenario: Scenario
    spec: CallerSpec
    mind: Mind
    seed: int


class LiveCall:
    """One call between a simulated caller and an agent.

    `changed` is called when the conversation ends, and again when its grading is complete.
    """

    def __init__(
        self, caller: LiveCaller, line: Line, *, watch: CallWatch, store: Store, changed: Callable[[], None]
    ) -> None:
        self.caller, self.line = caller, line
        self.turns: list[HeardTurn] = []
        self.ending: Ending | None = None
        """Set as soon as the conversation is over."""
        self.checks: list[Check] | None = None
        """The result of the grading; None before the grading.

        A call that was stopped, was closed or failed is not graded, so its result stays None.
        """
        self.over = False
        """Whether the call has ended and its grading is complete."""
        self.seconds = 0.0
        self._watch, self._store, self._changed = watch, store, changed
        self._stopping = asyncio.Event()
        name, seed = caller.scenario.name, caller.seed
        self._speaker = SimulatedCaller(caller.spec, caller.mind, seed=seed, scenario=name, run=1)
        self.account = self._speaker.account

    def stop(self) -> None:
        """End the call now. Nothing happens if the conversation is over."""
        self._stopping.set()

    async def hold(self, conversation_id: str) -> None:
        """Run the call to its end, hang up, and grade the call unless it was stopped, closed or failed."""
        began = time.monotonic()
        try:
            self.ending = await self._talk()
            self.seconds = time.monotonic() - began
            self._changed()
            await self.line.close()
            if self.ending.came_to_an_end:
                self.checks = await self._grade(conversation_id)
        finally:
            if self.ending is None:
                self.ending = Ending("closed", "The server stopped.")
            self.over = True
            self._changed()

    async def _talk(self) -> Ending:
        """Let both sides talk until the call ends or is stopped."""
        talking = asyncio.create_task(self._converse())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            both = (talking, stopping)
            await asyncio.wait(both, timeout=LONGEST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if talking.done():
                return talking.result()
        finally:
            talking.cancel()
            stopping.cancel()
            await asyncio.gather(talking, stopping, return_exceptions=True)
        if self._stopping.is_set():
            return STOPPED
        return Ending("closed", f"The call was ended after {LONGEST_SECONDS / 60:g} minutes.")

    async def _converse(self) -> Ending:
        try:
            while (step := await self._next()) is not None and (turn := await self.line.take(step)) is not None:
                self.turns.append(turn)
                if self.line.closed_because not in (None, "hangup"):
                    break
        except LayerCodeError as error:
            return Ending("failed", sentence(str(error).partition("\n")[0]))
        except Exception as error:  # noqa: BLE001 - a function or a model of the project may raise anything
            return failed(error, script=self.caller.spec.script)
        return ending_of(self.account, self.caller.spec, self.line.closed_because)

    async def _next(self) -> Step | None:
        """Return the caller's next step. Raises CallerError if the caller takes too long."""
        try:
            async with asyncio.timeout(LINE_SECONDS):
                return await self._speaker.next(tuple(self.turns))
        except TimeoutError as error:
            raise CallerError(f"the caller said nothing for {LINE_SECONDS:g} seconds") from error

    async def _grade(self, conversation_id: str) -> list[Check]:
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._watch.session_ended.wait()
        except TimeoutError:
            pass  # The hooks are still running: grade what the journal has.
        records = await self._records(conversation_id)
        turns = [_recorded(turn, records) for turn in self.turns]
        stored = (await self._store.conversation(conversation_id)).state
        told = call_of(turns, records, stored, self.account.asides)
        return checks_of(self.caller.scenario.end, told, self.account)

    async def _records(self, conversation_id: str) -> list[TurnRecord]:
        """Return the call's records. Wait until all of them are finished, but at most END_SECONDS."""
        until = time.monotonic() + END_SECONDS
        while True:
            records = [record async for record in self._store.turns(conversation_id=conversation_id)]
            if all(record.finished for record in records) or time.monotonic() > until:
                return records
            await asyncio.sleep(POLL_SECONDS)


def _recorded(turn: HeardTurn, records: list[TurnRecord]) -> HeardTurn:
    """Return the turn with its record from `records`, and with that record's frames.

    Return it unchanged if it has no record.
    """
    record = next((one for one in records if one.turn_id == turn.turn_id), None)
    if record is not None:
        turn.record = record
        turn.frames = [Received(one.at_ms, {"type": one.type, "content": one.content}) for one in record.frames]
    return turn
