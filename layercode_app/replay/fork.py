"""Continue a recorded conversation from one of its turns, in a sandbox: the journal does not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..agent.voice_agent import VoiceAgent
from ..exceptions import ForkError
from ..journal.record import Kind, TurnRecord
from ..journal.stores.base import SPEAKING_KINDS
from ..settings.limits import Limits
from ..webhook import TurnEvent
from .compare import Fork, Pair
from .recorded_tools import Recordings
from .rehearsal import Rehearsal
from .sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes that a fork makes; by default none.

    `say` holds the caller's words from the forked turn on. `prompt` and `model` replace those of the agent. With
    `rest`, the call continues after `say` with the caller's recorded words. Tool calls get recorded results, unless
    `run_tools` is true.
    """

    say: Sequence[str] = ()
    prompt: str | None = None
    model: str | None = None
    run_tools: bool = False
    rest: bool = False


async def fork(
    turns: Sequence[TurnRecord],
    voice: VoiceAgent[Any, Any],
    *,
    at: int | str,
    changes: Changes | None = None,
    others: Sequence[VoiceAgent[Any, Any]] = (),
    limits: Limits | None = None,
) -> Fork:
    """Answer a recorded turn again, with changes: other words of the caller, another prompt or another model.

    `changes.say` may list the caller's words for several turns. With `changes.rest`, the recorded turns that follow
    these turns are answered again too.

    `at` is the turn's number, from 1, or its id. The call can be handed over to the agents in `others`. These agents
    keep their own prompts and models. Without `others`, a hand-over is only recorded.

    Raises ForkError if there is no such turn, if `say` is given for the greeting, or if the agent does not allow the
    changes. Raises ConfigurationError if the model cannot be used.
    """
    changes = changes or Changes()
    number, forked = find_turn(turns, at)
    if forked.kind is Kind.GREETING and changes.say:
        raise ForkError(f"Turn {number} is the greeting: the caller has said nothing to replace. Fork a later turn.")
    place = _place_of(voice.name, turns, forked)
    tools = None if changes.run_tools else Recordings(turns, voices=[*others, voice], in_place_of={voice.name: place})
    sandbox = await Sandbox.before(turns, forked, agent=place, limits=limits)
    rehearsal = Rehearsal(voice, prompt=changes.prompt, model=changes.model, tools=tools)
    if others:
        sandbox.serve([rehearsal, *(Rehearsal(one, tools=tools) for one in others if one.name != voice.name)])
    pairs = []
    for old, event in _script(turns, forked, sandbox, changes):
        if tools is not None:
            tools.answering(old)
        pairs.append(Pair(old, await sandbox.answer(rehearsal, event)))
    await sandbox.finish()
    answered = tools.used if tools else {}
    return Fork(forked.conversation_id, forked.turn_id, number, voice.name, pairs, answered)


def find_turn(turns: Sequence[TurnRecord], at: int | str) -> tuple[int, TurnRecord]:
    """Return a turn and its number, from 1. `at` is the number or the id. Raises ForkError if there is no such turn."""
    speaking = [turn for turn in turns if turn.kind in SPEAKING_KINDS]
    for number, turn in enumerate(speaking, 1):
        if at in (number, turn.turn_id):
            return number, turn
    raise ForkError(
        f"Turn {at!r} is not in this conversation; expected a number from 1 to {len(speaking)}, or a turn's id."
    )


def _place_of(agent: str, turns: Sequence[TurnRecord], forked: TurnRecord) -> str:
    """Return the name of the recorded agent that `agent` replaces in the fork.

    An agent that took part in the call replaces itself. Any other agent replaces the agent of the forked turn.
    """
    recorded = {name for turn in turns for name in (turn.agent, *turn.handed_by)}
    return agent if agent in recorded else forked.agent


def _script(
    turns: Sequence[TurnRecord], forked: TurnRecord, sandbox: Sandbox, changes: Changes
) -> list[tuple[TurnRecord | None, TurnEvent]]:
    """Return the events to answer in the fork, each with the recorded turn that the new turn is compared with.

    The recorded turn is None if the caller says more than was recorded.
    """
    later = [turn for turn in turns if turn.position > forked.position and turn.kind is Kind.MESSAGE]
    old: list[TurnRecord] = [forked, *later]
    count = len(old) if changes.rest else max(len(changes.say), 1)
    count = max(count, len(changes.say))
    said = [changes.say[i] if i < len(changes.say) else old[i].user_text for i in range(count)]
    spoken = [text if i or forked.kind is Kind.MESSAGE else None for i, text in enumerate(said)]
    return [(old[i] if i < len(old) else None, sandbox.event(spoken[i])) for i in range(count)]
