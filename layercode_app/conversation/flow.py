"""The current agent and stage of a conversation, kept in the journal with the conversation's state.

Their keys begin with `layercode.`, which no field name of a state model can contain. Because they are kept in the
state, they are saved together with the turn.

If another agent takes over a call, the state also contains that agent's fields. Their keys begin with `layercode.of.`
and the agent's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from loguru import logger

from ..exceptions import DeveloperError
from ..journal.cost import DATA_COSTS
from ..journal.merge_state import MISSING, REMOVED
from ..journal.outbound import AGENT
from ..journal.record import Json, Stage
from ..nearest import nearest
from .session_values import YES, values_in, with_value
from .undo import Undo

if TYPE_CHECKING:
    from .live import LiveTurn

RESERVED = "layercode."
"""The prefix of keys in a conversation's state that are not fields of the state model."""
CALLERS = "layercode.callers"
"""The key under which the state keeps the caller of each session, encoded by `session_values.py`. A caller is a text
"AGENT ID": the name of the agent whose `remember` returned the caller's id, and this id."""
OPENING = "layercode.opening"
"""The key under which the state keeps how many messages of each session were checked for voicemail."""
GREETED = "layercode.greeted"
"""The key under which the state keeps the sessions in which a delayed greeting was spoken."""
RESUMED = "layercode.resumed"
"""The key under which the state keeps the sessions of a conversation that has more than one. The value of a session is
`YES` if the conversation had turns in another session before it, and "" for the first session."""
STAGE = "layercode.stage."
"""The prefix of the keys of the agents' stages."""
AGENT_STAGE = "agent "
"""The beginning of the name of a stage; the name of an agent follows. Such a stage is recorded if an agent hands the
rest of a turn to another agent. It shows how long the first agent worked on the turn."""
KEPT = (AGENT, CALLERS, OPENING, GREETED, RESUMED, DATA_COSTS)
MOST_HANDOVERS = 3
"""The maximum number of hand-overs in one turn; further hand-overs are ignored."""
MOST_MOVES = 8
"""The maximum number of moves to another stage in one turn; further moves are ignored."""


def stage_key(agent: str) -> str:
    """Return the key under which the state keeps an agent's current stage."""
    return STAGE + agent


def scope_of(agent: str, first: str) -> str:
    """Return the prefix of the keys of an agent's state; `first` is the agent that the platform calls."""
    return "" if agent == first else f"layercode.of.{agent}."


def own_fields(stored: Mapping[str, Json], scope: str = "") -> dict[str, Json]:
    """Return one agent's fields from the state of a conversation, without their prefix `scope`."""
    return {key: value for key, value in stored_fields(stored, scope).items() if value != REMOVED}


def stored_fields(stored: Mapping[str, Json], scope: str) -> dict[str, Json]:
    """Return the fields that `own_fields` returns, and also the removed fields, which have the value `REMOVED`."""
    if scope:
        return {key.removeprefix(scope): value for key, value in stored.items() if key.startswith(scope)}
    return {key: value for key, value in stored.items() if not key.startswith(RESERVED)}


def handed_fields(stored: Mapping[str, Json], agents: Iterable[str]) -> dict[str, Json]:
    """Return the state of these agents by name. Only agents that took the call over and have state are included."""
    found = {name: own_fields(stored, scope_of(name, "")) for name in agents}
    return {name: fields for name, fields in found.items() if fields}


def caller_in(stored: Mapping[str, Json], session_id: str) -> tuple[str, str]:
    """Return the agent that recognised the caller of a session, and the caller's id; two empty texts if none did."""
    caller = values_in(str(stored.get(CALLERS, ""))).get(session_id)
    # Earlier releases had a key for each session.
    caller = caller or str(stored.get(f"layercode.caller.{session_id}", ""))
    agent, _, key = caller.partition(" ")
    return agent, key


def check_known(name: str, known: Sequence[str], message: str) -> None:
    """Raise DeveloperError if the name is not known.

    The error's text consists of `message`, a known name that is similar (if there is one), and all known names.
    """
    if name not in known:
        meant = nearest(name, known)
        hint = f" Did you mean {meant!r}?" if meant else ""
        raise DeveloperError(f"{message}{hint} Known names: {', '.join(known) or 'none'}.")


class Flow:
    """The current agent of a conversation and the current stage of each agent, which a running turn reads and changes.

    `first` is the agent that the platform calls. `known` returns the names of the agents to which a call can be handed.
    """

    # Most turns need none of these values. So they are class attributes, or are read only when they are needed.
    due = ""
    """The agent that answers the rest of this turn after a hand-over with `now`; "" for none."""
    leaving = False
    """Whether the running agent has handed the call over and says nothing more."""
    asked: Mapping[str, tuple[bool, bool]] = {}
    """The arguments `now` and `quiet` of the running agent's latest hand-over to each agent, by that agent's name."""
    final = ""
    """The agent to which code outside tools, such as a guard, last handed the call over in this turn; "" for none."""
    taken_from = ""
    """The agent that handed this turn over to the running agent; "" for none."""
    handovers = 0
    moves = 0
    stages: Sequence[str] = ()
    """The names of the running agent's stages, in order."""
    _values: dict[str, str] | None = None

    def __init__(self, stored: Mapping[str, Json], first: str, known: Callable[[], Iterable[str]]) -> None:
        self.first = first
        self._stored = stored
        self._known = known

    def _read(self) -> dict[str, str]:
        if self._values is None:
            kept = (key for key in self._stored if key in KEPT or key.startswith(STAGE))
            self._values = {key: str(self._stored[key]) for key in kept}
            self._saved, self._undo = dict(self._values), Undo(self._values)
        return self._values

    @property
    def agent(self) -> str:
        """The agent that answers from the next turn on."""
        return self._read().get(AGENT, self.first)

    def stage(self, agent: str) -> str:
        """Return the current stage of the running agent, whose name is `agent`; "" if this agent has no stages.

        If no stage is saved, or the agent no longer has the saved stage, return the agent's first stage.
        """
        if not self.stages:
            return ""
        kept = self._read().get(STAGE + agent, "")
        return kept if kept in self.stages else self.stages[0]

    def hand_to(self, agent: str) -> None:
        """Let this agent answer from the next turn on. Raises DeveloperError if the server has no such agent.

        A fork has no other agents, so in a fork the hand-over is only recorded.
        """
        if known := sorted(self._known()):
            check_known(agent, known, f"hand_to({agent!r}): the server has no such agent.")
        self._read()[AGENT] = agent

    def serves(self, agent: str) -> bool:
        """Return whether the server has this agent."""
        return agent in set(self._known())

    def move(self, agent: str, stage: str) -> None:
        """Move the running agent to this stage. Raises DeveloperError if it has no such stage."""
        check_known(stage, self.stages, f"go_to({stage!r}): agent {agent!r} has no such stage.")
        self._read()[STAGE + agent] = stage

    def keep(self, key: str, value: str) -> None:
        """Save a value under one of the keys in `KEPT`.

        The value stays even if the running tool is cancelled.
        """
        self._read()[key] = value
        self._undo.keep(key, value)

    def kept(self, key: str) -> str:
        """Return the value of one of the keys in `KEPT`; "" if there is none."""
        return self._read().get(key, "")

    def keep_for(self, key: str, session_id: str, value: str) -> None:
        """Save a session's value under one of the keys in `KEPT`. The values of other sessions stay."""
        self.keep(key, with_value(self.kept(key), session_id, value))

    def kept_for(self, key: str, session_id: str) -> str | None:
        """Return the value that `keep_for` saved for a session under this key; None if no value was saved."""
        return values_in(self.kept(key)).get(session_id)

    def resume(self, earlier: str, session_id: str) -> None:
        """Record that this session continues the conversation after a turn of the session `earlier`.

        Do nothing if this session has had turns before.
        """
        if self.kept_for(RESUMED, session_id) is None:
            if self.kept_for(RESUMED, earlier) is None:
                self.keep_for(RESUMED, earlier, "")
            self.keep_for(RESUMED, session_id, YES)

    # --- saving

    def changes(self) -> dict[str, Json]:
        """Return the values that are not in the journal yet, to save with the conversation's state."""
        if self._values is None:
            return {}
        return {key: value for key, value in self._values.items() if self._saved.get(key) != value}

    def based_on(self) -> dict[str, str]:
        """Return the values that this turn read or saved last."""
        return {} if self._values is None else self._saved

    def mark_saved(self, changes: Mapping[str, Json], written: Mapping[str, Json]) -> None:
        """Mark these changes as saved in the journal. Tools may have made other changes while these were written.

        `written` are the values that were saved. A change is undone if the value of a newer turn was kept instead.
        """
        for key, value in changes.items():
            if written[key] == value:
                self._saved[key] = str(value)
            elif self._values is not None and self._values.get(key) == value:
                self._undo_change(key)

    def _undo_change(self, key: str) -> None:
        values = self._read()
        values.pop(key)
        if key in self._saved:
            values[key] = self._saved[key]
        self._undo.settle(values)

    # --- tools and data events; see `undo.py`

    @property
    def busy(self) -> bool:
        """Whether a tool or a data event is running. If that work is cancelled, its changes are undone."""
        return self._values is not None and self._undo.busy

    def compare(self) -> None:
        """Find the values that changed since the last call of `compare` or `settle`.

        Attribute these changes to the tools and data events that are running now.
        """
        self._undo.compare(self._read())

    def settle(self) -> None:
        """Find the values that changed since the last call of `compare` or `settle`, and keep these changes for good.

        Call this function if neither a tool nor a data event made the changes. No cancellation undoes them later.
        """
        self._undo.settle(self._read())

    def begin(self, work: object) -> None:
        """Record that a tool or a data event begins. This work may hand the call over or move to another stage."""
        values = self._read()
        self._undo.begin(work, values)

    def end(self, work: object) -> list[str]:
        """Record that a tool or a data event has ended, and return the keys of the values that it changed.

        From now on, no cancellation undoes these changes.
        """
        return self._undo.end(work, self._read())

    def cancel(self, work: object) -> None:
        """Undo the changes of a cancelled tool or data event."""
        values = self._read()
        for key, value in self._undo.cancel(work, values).items():
            # A key cannot be deleted from the journal, so a key that the tool added gets its default value.
            default = self.first if key == AGENT else ""
            values[key] = default if value is MISSING else value


def hand_over(live: LiveTurn, agent: str, *, now: bool, quiet: bool) -> bool:
    """Hand the call to another agent; return False if there were too many hand-overs in this turn.

    With `now` the other agent also answers the rest of this turn. With `quiet` the running agent says nothing more.
    """
    flow = live.flow
    assert flow is not None
    record = live.record
    if flow.handovers >= MOST_HANDOVERS:
        logger.warning(
            "The hand-over to {} is ignored: this turn already had {} hand-overs, the maximum.", agent, MOST_HANDOVERS
        )
        record.notes.append(f"[The call was not handed to {agent}: it was handed over too often.]")
        return False
    flow.hand_to(agent)
    flow.handovers += 1
    if not live.in_tool():
        flow.final = agent
    flow.asked = {**flow.asked, agent: (now, quiet)}
    _show_agent(live)
    return True


def _show_agent(live: LiveTurn) -> None:
    """Write into the turn's record which agent takes the call over, and set whether it answers the rest of the turn."""
    flow, record = live.flow, live.record
    assert flow is not None
    record.handed_to = "" if flow.agent == record.agent else flow.agent
    now, quiet = flow.asked.get(record.handed_to, (False, False))
    flow.due = record.handed_to if now and flow.serves(record.handed_to) else ""
    flow.leaving = now or quiet


def take_back(live: LiveTurn) -> None:
    """Undo the hand-overs by the running agent's tools, because a guard refused the reply."""
    flow, record = live.flow, live.record
    if flow is None or not record.handed_to:
        return
    # The tools have ended, so `cancel` cannot undo their hand-overs. Instead, set the agent with `keep`. A later
    # cancellation does not change it.
    flow.keep(AGENT, flow.final or record.agent)
    _show_agent(live)


def show_undone(live: LiveTurn) -> None:
    """Write the agent and the stage into the turn's record again, because a cancelled tool may have changed them."""
    flow, record = live.flow, live.record
    if flow is None or live.ending:
        return
    _show_agent(live)
    _show_stage(live, flow.stage(record.agent))


def move_on(live: LiveTurn, stage: str) -> bool:
    """Move the agent of the turn to another stage; return False if there were too many moves in this turn."""
    flow, record = live.flow, live.record
    assert flow is not None
    if stage == record.at_stage:
        return True
    if flow.moves >= MOST_MOVES:
        logger.warning(
            "The move to stage {} is ignored: this turn already had {} moves, the maximum.", stage, MOST_MOVES
        )
        return False
    flow.move(record.agent, stage)
    flow.moves += 1
    _show_stage(live, stage)
    return True


def _show_stage(live: LiveTurn, stage: str) -> None:
    """Write the current stage into the turn's record, and start timing it."""
    if stage != live.record.at_stage:
        _end_part(live)
        live.record.at_stage = stage
        begin_part(live)


def begin_part(live: LiveTurn) -> None:
    """Start timing the agent's current stage. The time is shown in the waterfall and by `sessions show`."""
    if live.record.at_stage:
        live.record.stages.append(Stage(_name(live), live.elapsed_ms()))


def end_flow(live: LiveTurn) -> None:
    """Stop timing the last stage."""
    if live.record.at_stage:
        _end_part(live)


def begin_again(live: LiveTurn, agent: str) -> None:
    """Record the time that this agent spent on the turn, and reset the flow for the agent that takes it over."""
    flow, record = live.flow, live.record
    assert flow is not None
    end_flow(live)
    earlier = {AGENT_STAGE + name for name in record.handed_by}
    began = max((part.ended_ms or 0.0 for part in record.stages if part.name in earlier), default=0.0)
    record.stages.append(Stage(f"{AGENT_STAGE}{agent}", began, live.elapsed_ms(), "done"))
    record.handed_by.append(agent)
    flow.due, flow.leaving, flow.asked, flow.final, record.handed_to = "", False, {}, "", ""
    flow.taken_from, live.run.answered = agent, False


def _end_part(live: LiveTurn) -> None:
    for part in reversed(live.record.stages):
        if part.ended_ms is None and part.name == _name(live):
            part.ended_ms, part.status = live.elapsed_ms(), "done"
            return


def _name(live: LiveTurn) -> str:
    return f"stage {live.record.at_stage}"
