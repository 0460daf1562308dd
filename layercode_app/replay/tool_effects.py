"""Repeat what a recorded tool call did besides its result, so that the rest of the turn can go on as recorded.

A tool may change the state, move to another stage, hand the call over, and speak.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from ..conversation.flow import hand_over
from ..conversation.state import LiveState
from ..conversation.state_json import load_model
from ..conversation.turn import Turn
from ..exceptions import DeveloperError
from ..journal.record import TTS, Json, ToolCall, TurnRecord
from .recording import agent_of, replied_in_full


def repeat(call: ToolCall, recorded: TurnRecord, turn: Turn[Any, Any]) -> None:
    """Change `turn` as the tool call `call` changed the turn `recorded`.

    Changed fields get the values that they had at the end of `recorded`. But if an agent made the tool call and then
    handed the turn over, no fields are changed: the record contains only the fields of the turn's last agent.

    Effects that are impossible in `turn` are left out: values that do not fit the agent's state, stages that the agent
    does not have, and hand-overs to agents that are not loaded.
    """
    effects, flow = effects_of(call, recorded), turn.live.flow
    if turn.live.state is not None and agent_of(call, recorded) == recorded.agent:
        _set(turn.live.state, effects.get("fields", ()), recorded.state or {})
    if flow is not None and (stage := effects.get("stage", "")) in flow.stages:
        turn.go_to(stage)
    if (agent := effects.get("agent")) and agent != turn.record.handed_to:
        with suppress(DeveloperError):  # This agent is not loaded any more.
            hand_over(turn.live, agent, now=bool(effects.get("now")), quiet=bool(effects.get("leaves")))
    turn.say(effects.get("said", ""))


def _set(state: LiveState[Any], changed: Iterable[str], values: Mapping[str, Json]) -> None:
    """Set each field named in `changed` to its value in `values`. If it has no value there, remove it."""
    names = set(changed)
    others = {name: value for name, value in state.fields().items() if name not in names}
    new = {name: value for name, value in values.items() if name in names}
    with suppress(Exception):  # A validator of the model may raise anything.
        state.assign(load_model(type(state.model), others | new))


def effects_of(call: ToolCall, turn: TurnRecord) -> Mapping[str, Json]:
    """Return what a tool call of the recorded turn did besides its result, as `ToolCall.effects` describes it.

    Older versions recorded only what the whole turn did. For their records, return all changes of the state in the
    turn, and its hand-over, as if this tool call had made them. But these records tell when the turn moved to another
    stage and when words were said. So of the moves and words, return only those that happened while this tool call ran.
    """
    if call.effects is not None:
        return call.effects  # type: ignore[no-any-return]
    effects = {"fields": list(turn.state or {}), "stage": "".join([*_moves(call, turn)][-1:]), "agent": turn.handed_to}
    if not turn.handed_to or replied_in_full(turn):
        return effects
    # The hand-over had a text to say, so the model was not called again.
    return effects | {"leaves": True, "said": "".join(_said(call, turn))}


def _moves(call: ToolCall, turn: TurnRecord) -> Iterator[str]:
    """Yield the stages to which the turn moved while the tool call ran."""
    for stage in turn.stages:
        if stage.name.startswith("stage ") and call.started_ms < stage.started_ms <= (call.ended_ms or 0.0):
            yield stage.name.removeprefix("stage ")


def _said(call: ToolCall, turn: TurnRecord) -> Iterator[str]:
    """Yield what the agent's code said while the tool call ran."""
    sources = [part.source for part in turn.speech for _ in part.text]
    for frame in turn.frames:
        if frame.type != TTS:
            continue
        source, sources = sources[:1], sources[len(frame.content) :]
        if source == ["say"] and call.started_ms <= frame.at_ms <= (call.ended_ms or 0.0):
            yield frame.content
