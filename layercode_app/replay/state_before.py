"""Rebuild the state that a conversation had before one of its turns. The sources are the conversation's turns.

The journal keeps only the newest state. A state holds the fields of each agent, and data that the toolkit remembers:
the stages, the running summary, whether a delayed greeting was spoken, and how many messages were checked for
voicemail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..agent.voicemail import FIRST_MESSAGES
from ..conversation.flow import GREETED, OPENING, RESUMED, scope_of, stage_key
from ..conversation.session_values import YES, with_value
from ..journal.record import Json, Kind, TurnRecord
from ..journal.stores.history_steps import SUMMARY


def state_before(
    past: Sequence[TurnRecord], turn: TurnRecord, positions: Mapping[str, int], *, agent: str
) -> dict[str, Json]:
    """Return the state that the conversation had before `turn`. `past` holds all turns before it, oldest first.

    `agent` is the name of a recorded agent. The agent that answers `turn` again gets the state of this recorded agent.
    `positions` maps the ids of the turns in `past` to their positions in the store to which the state will be written.
    """
    states: dict[str, dict[str, Json]] = {}
    for earlier in past:
        states[earlier.agent] = earlier.state or states.get(earlier.agent, {})
    # The agent that answers `turn` is the first agent of the new conversation, so the fields of `agent` get no prefix.
    state: dict[str, Any] = {
        scope_of(of, agent) + name: value for of, fields in states.items() for name, value in fields.items()
    }
    stages = {stage_key(earlier.agent): earlier.at_stage for earlier in past if earlier.at_stage}
    return state | stages | dict(_summary(past, positions)) | dict(_opening(past, turn))


def _summary(past: Sequence[TurnRecord], positions: Mapping[str, int]) -> Iterator[tuple[str, Json]]:
    for earlier in past:
        summary = earlier.summary
        if summary is not None and summary["turn_id"] in positions:
            yield SUMMARY, {**summary, "until": positions[summary["turn_id"]]}


def _opening(past: Sequence[TurnRecord], turn: TurnRecord) -> Iterator[tuple[str, Json]]:
    """Yield the parts of the conversation's state that tell how the session of `turn` began."""
    session = turn.session_id
    if any(one.session_id != session for one in past):
        yield RESUMED, with_value("", session, "" if past[0].session_id == session else YES)
    messages = [one for one in past if one.kind is Kind.MESSAGE and one.session_id == session]
    if any(part.source == "greeting" for one in messages for part in one.speech):
        yield GREETED, with_value("", session, YES)
    if messages:
        yield OPENING, with_value("", session, str(min(len(messages), FIRST_MESSAGES)))
