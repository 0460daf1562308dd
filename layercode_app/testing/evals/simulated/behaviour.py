"""Plan how a caller behaves on the line, such as interrupting. The plan depends on the seed, not on the agent."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .caller_spec import Behaviour
from .disfluency import halves, hesitate
from .mishearing import mishear

SOUNDS = ("mhm", "uh-huh", "okay", "right", "I see")
"""Sounds with which a caller shows that they are listening, while the agent goes on speaking."""
MOST_WORDS = 6
"""The caller interrupts after at most this number of words of the reply."""


@dataclass(frozen=True)
class Plan:
    """The caller's planned behaviours in one turn and during the reply to it."""

    silent: bool
    splits: bool
    hesitates: bool
    misheard: bool
    sound: str | None
    """The listening sound that the caller makes during the reply, such as "mhm"; None for no sound."""
    interrupts: bool
    after: int
    """The number of words of the reply that the caller hears before the sound or the interruption."""
    playing: bool
    """Whether the interruption cuts only the playback of a complete reply."""

    @property
    def cut(self) -> int | None:
        """The number of words after which the reply is cut; None if the caller hears it to its end."""
        return self.after if self.interrupts or self.sound else None


def random_of(seed: int, scenario: str, run: int, turn: int) -> Random:
    """Return the random generator of one turn. It does not depend on what the agent does."""
    return Random(f"{seed}/{scenario}/{run}/{turn}")  # noqa: S311 - the same seed must give the same call


def plan(behaviour: Behaviour, random: Random) -> Plan:
    """Choose at random how the caller behaves in one turn.

    In every turn, a random number is drawn for each behaviour, even for a behaviour that never occurs. So changing the
    share of one behaviour does not change the numbers that decide about the other behaviours.
    """
    chances = [random.random() for _ in range(6)]
    sound, after, playing = random.choice(SOUNDS), random.randint(1, MOST_WORDS), random.random() < 0.5
    interrupts = chances[0] < behaviour.interrupts
    makes_sound = not interrupts and chances[1] < behaviour.backchannels
    return Plan(
        interrupts=interrupts,
        sound=sound if makes_sound else None,
        hesitates=chances[2] < behaviour.hesitates,
        misheard=chances[3] < behaviour.misheard,
        silent=chances[4] < behaviour.silent,
        splits=chances[5] < behaviour.splits,
        after=after,
        playing=playing,
    )


@dataclass(frozen=True)
class Delivered:
    """A line as the agent receives it, and the behaviours that changed it."""

    parts: list[str]
    done: list[str]
    """The names of the behaviours that changed the line."""


def deliver(line: str, plan: Plan, random: Random) -> Delivered:
    """Apply the plan to a line: add a hesitation, mishear a word, or split the line into two messages."""
    done = []
    for name, wanted, change in (("hesitates", plan.hesitates, hesitate), ("misheard", plan.misheard, mishear)):
        changed = change(line, random) if wanted else line
        if changed != line:
            line = changed
            done.append(name)
    parts = halves(line) if plan.splits else [line]
    return Delivered(parts, [*done, "splits"] if len(parts) > 1 else done)
