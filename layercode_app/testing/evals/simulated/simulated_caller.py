"""A simulated caller: a script or a model chooses the words, and a seed decides when to interrupt or hesitate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ...turn import HeardTurn
from ..scenario import Step
from .behaviour import Plan, deliver, plan, random_of
from .caller_spec import CallerSpec
from .drill import DRILLS, drilled_line
from .mind import Exchange, Hearing, Mind, Move


@dataclass
class Account:
    """The record of what a simulated caller did, for the report."""

    behaviours: list[dict[str, Any]] = field(default_factory=list)
    """For each of the caller's turns: the words that the caller meant to say, and the caller's behaviours.

    A behaviour may have changed the words, or may have been planned for the time of the reply.
    """
    notes: list[str] = field(default_factory=list)
    """Facts that explain a failure, but are no failures themselves."""
    hung_up: str = ""
    """How the call ended: `caller`, `goal reached`, `agent` or `max_turns`."""
    asides: list[int] = field(default_factory=list)
    """Numbers of the turns that are not messages: listening sounds, silence, and the first half of a split sentence."""
    unfinished: str = ""
    """Why the call ended before the caller had what they wanted; empty if they had it."""


class SimulatedCaller:
    """A simulated caller, who implements the protocol `Caller`. `run` is the number of the run, from 1."""

    def __init__(self, spec: CallerSpec, mind: Mind, *, seed: int, scenario: str, run: int) -> None:
        self.account = Account()
        self._spec, self._mind = spec, mind
        self._key = (seed, scenario, run)
        self._waiting: list[Step] = []
        self._plan: Plan | None = None
        self._last_line = self._messages = self._turn = 0
        self._was_silent = False
        self._drill = DRILLS[spec.breaks_in] if spec.breaks_in else None
        self._drill_from = drilled_line(spec, run)

    async def next(self, heard: Sequence[HeardTurn]) -> Step | None:
        """Return the caller's next step; None hangs up."""
        if not heard:
            return Step()
        if heard[-1].hangup:
            self._over("agent", f"the agent hung up in turn {len(heard)}", unfinished=not self._mind.satisfied)
            return None
        if self._messages == self._spec.max_turns:
            await self._stop(heard)
            return None
        self._messages += 1
        return self._waiting.pop(0) if self._waiting else self._sound(heard) or await self._speak(heard)

    async def _stop(self, heard: Sequence[HeardTurn]) -> None:
        """End the call at the message limit.

        If the caller's next move is to hang up, the call ends normally. Otherwise it counts as unfinished.
        """
        random = random_of(*self._key, self._turn + 1)
        move = None if self._waiting else await self._mind.next(self._hearing(heard, random))
        if move and (move.say is None or move.last):
            self._hang_up(move)
        else:
            self._over("max_turns", f"the call was not over after {self._messages} messages of the caller (max_turns)")

    def _hang_up(self, move: Move) -> None:
        missed = self._spec.script is None and not move.reached
        why = move.note or ("the caller hung up before their goal was reached" if missed else "")
        self._over("goal reached" if move.reached else "caller", why)

    def _over(self, who: str, why: str, *, unfinished: bool = True) -> None:
        self.account.hung_up = who
        self.account.notes += [why] if why else []
        self.account.unfinished = why if unfinished else ""

    def _sound(self, heard: Sequence[HeardTurn]) -> Step | None:
        """Return the step that says the planned listening sound, such as "mhm".

        Return None if no sound was planned, or if the last reply ended before the sound.
        """
        planned, self._plan = self._plan, None
        sound = self._drill.sound if self._drill else planned.sound if planned else None
        if not (planned and sound and heard[-1].interrupted):
            return None
        self.account.asides.append(len(heard) + 1)
        return Step(say=sound)

    async def _speak(self, heard: Sequence[HeardTurn]) -> Step | None:
        self._turn += 1
        random = random_of(*self._key, self._turn)
        planned = plan(self._spec.behaviour, random)
        if planned.silent and not self._was_silent:
            return self._silence(len(heard))
        self._was_silent = False
        move = await self._mind.next(self._hearing(heard, random))
        if move.say is None:
            self._hang_up(move)
            return None
        if not move.say.strip():
            return self._silence(len(heard))
        return self._break_in(move.say, planned, heard) or self._say(move, planned, random, len(heard))

    def _break_in(self, say: str, planned: Plan, heard: Sequence[HeardTurn]) -> Step | None:
        """Return the step that says `say` and interrupts the reply in the way that the spec's `breaks_in` describes.

        Return None if no interruption is due in this turn. `planned` is the turn's plan.
        """
        if not self._drill or self._turn < self._drill_from:
            return None
        if sum(turn.interrupted for turn in heard) >= self._drill.times:
            return None
        self._last_line, self._plan = len(heard), planned
        self._note(len(heard), say, [f"breaks in {self._spec.breaks_in}"])
        return self._drill.step(say)

    def _silence(self, turns: int) -> Step:
        self._was_silent = True
        self.account.asides.append(turns + 1)
        self._note(turns, "", ["silent"])
        return Step(say="")

    def _note(self, turns: int, said: str, behaviours: list[str]) -> None:
        """Record the words and behaviours of a new turn. `turns` counts the turns before it, including the greeting."""
        self.account.behaviours.append({"turn": turns + 1, "said": said, "behaviours": behaviours})

    def _hearing(self, heard: Sequence[HeardTurn], random: Random) -> Hearing:
        new = heard[self._last_line :]
        exchanges = [Exchange(turn.text, turn.heard) for turn in heard]
        broke_in = any(turn.interrupted for turn in new)
        return Hearing(" ".join(turn.heard for turn in new), exchanges, broke_in, self._spec.facts, random)

    def _say(self, move: Move, planned: Plan, random: Random, turns: int) -> Step:
        """Return the step that says the words of `move`. If they are split, return the first half and queue the second.

        The planned interruption or sound happens while the agent replies to the last part.
        """
        delivered = deliver(move.say or "", planned, random)
        *first, last = delivered.parts
        playing = planned.cut is not None and (planned.playing or planned.sound is not None)
        step = Step(say=last, interrupt=planned.cut, playing=playing, must_interrupt=False)
        steps = [*(Step(say=part, interrupt=0) for part in first), step]
        self._last_line, self._plan = turns + len(first), planned
        self._waiting = steps[1:]
        self.account.asides += range(turns + 1, turns + len(steps))
        self._note(turns, move.say or "", [*delivered.done, *_over_the_reply(planned)])
        return steps[0]


def _over_the_reply(planned: Plan) -> list[str]:
    """Return what the caller plans to do while the agent replies: make a sound, or interrupt.

    The caller does this only if the reply is long enough.
    """
    if planned.sound:
        return [f"says {planned.sound!r} after {planned.after} words"]
    where = " of the playback" if planned.playing else ""
    return [f"interrupts after {planned.after} words{where}"] if planned.interrupts else []
