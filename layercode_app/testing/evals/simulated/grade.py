"""Grade a whole conversation: its state, outcomes, tool calls, data, words, cost and length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ....conversation.flow import handed_fields, own_fields
from ....journal.cost import Cost, cost_of, dollars
from ....journal.record import ToolCall, TurnRecord
from ...turn import Called, HeardTurn, is_part, shown_call
from .end_spec import End, EndCall
from .grounding import ungrounded
from .patterns import heard_in


@dataclass(frozen=True)
class Call:
    """A finished call: its turns as the caller heard them, its records in the journal, and its state at the end.

    `state` is the state of the agent that was called. `handed` has the state of each agent that took the call over.
    """

    turns: Sequence[HeardTurn]
    records: Sequence[TurnRecord] = ()
    state: Mapping[str, Any] = field(default_factory=dict)
    asides: Sequence[int] = ()
    """Numbers of the turns that are not messages: listening sounds, silence, and the first half of a split sentence."""
    handed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def messages(self) -> int:
        """The number of messages of the caller."""
        return len(self.spoken)

    @property
    def spoken(self) -> list[tuple[int, HeardTurn]]:
        """The turns in which the caller said something, with their numbers."""
        own = [one for one in self.numbered if one[0] not in self.asides]
        return [(number, turn) for number, turn in own if turn.text or number > 1]

    @property
    def numbered(self) -> list[tuple[int, HeardTurn]]:
        """The turns with their numbers, counted from 1 as in the failure messages."""
        return list(enumerate(self.turns, 1))

    @property
    def cost(self) -> Cost:
        """The cost of the agent's models."""
        return sum(map(cost_of, self.records), Cost())


def call_of(
    turns: Sequence[HeardTurn], records: Sequence[TurnRecord], stored: Mapping[str, Any], asides: Sequence[int]
) -> Call:
    """Return a finished call. `stored` is the conversation's state in the journal, with the states of all agents."""
    handed = handed_fields(stored, {record.agent for record in records})
    return Call(turns, records, own_fields(stored), asides, handed)


def grade(end: End, call: Call) -> list[str]:
    """Return the failed expectations. If a failure happened in a certain turn, its text names that turn."""
    checks = (_state(end, call), _outcomes(end, call), _tools(end, call), _absent(end, call))
    return [reason for check in (*checks, _data(end, call), _words(end, call), _limits(end, call)) for reason in check]


def place(number: int, turn: HeardTurn) -> str:
    """Return the name of a turn for failure messages."""
    return f"turn {number} ({turn.text!r})" if turn.text else f"turn {number}"


def _state(end: End, call: Call) -> Iterator[str]:
    for path, wanted, found in _differences(end.state, call.state, ""):
        told = f"the state ends with {path} = {found!r}, expected {wanted!r}"
        yield f"{told}; {_last_change(call, path, found)}{_elsewhere(call, path)}"
    for agent, fields in end.states.items():
        for path, wanted, found in _differences(fields, call.handed.get(agent), ""):
            told = f"the state of {agent!r} ends with {path} = {found!r}, expected {wanted!r}"
            yield f"{told}; {_last_change(call, path, found, agent)}"


def _differences(wanted: Mapping[str, Any], found: Any, above: str) -> Iterator[tuple[str, Any, Any]]:
    for name, value in wanted.items():
        path, have = f"{above}{name}", found.get(name) if isinstance(found, Mapping) else None
        if isinstance(value, Mapping) and isinstance(have, Mapping):
            yield from _differences(value, have, f"{path}.")
        elif not is_part(value, have):
            yield path, value, have


def _elsewhere(call: Call, path: str) -> str:
    """Return a hint if agents that took the call over have this part of the state; otherwise an empty text."""
    having = [repr(agent) for agent, fields in call.handed.items() if path.partition(".")[0] in fields]
    return f" (it is in the state of {' and '.join(having)}: expect it under `states`)" if having else ""


def _last_change(call: Call, path: str, found: Any, agent: str = "") -> str:
    """Return a phrase that names the turn in which a part of an agent's state last changed.

    `path` names the part, and `found` is its value at the end of the call. `agent` is the name of an agent that took
    the call over. By default, the state of the called agent is searched. The record of a turn has only the state of the
    agent that had the call at the end of the turn. So a change is missed if the agent hands the call over later in the
    same turn.
    """
    changed, before = "it was never set" if found is None else "it was set in a turn that was handed over", None
    for number, turn, value in _states(call, agent):
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if value != before:
            changed = f"last changed in {place(number, turn)}"
        before = value
    return changed


def _states(call: Call, agent: str) -> Iterator[tuple[int, HeardTurn, Any]]:
    """For each turn that ended with this agent in charge, yield the turn's number, the turn and the agent's state.

    An empty `agent` means the agent that was called. Turns without a recorded state are left out.
    """
    for number, turn in call.numbered:
        record = turn.record
        if record is not None and record.state and agent == (record.agent if record.agent in call.handed else ""):
            yield number, turn, record.state


def _outcomes(end: End, call: Call) -> Iterator[str]:
    all_of = [(number, outcome["name"]) for number, turn in call.numbered for outcome in _outcomes_of(turn)]
    known = {turn.record.turn_id for turn in call.turns if turn.record}
    all_of += [(0, one["name"]) for record in call.records if record.turn_id not in known for one in record.outcomes]
    for name in dict.fromkeys(end.outcomes):
        found, wanted = [number for number, other in all_of if other == name], end.outcomes.count(name)
        if not found:
            others = ", ".join(dict.fromkeys(other for _, other in all_of)) or "none"
            yield f"the outcome {name!r} never happened; the outcomes were: {others}"
        elif len(found) != wanted:
            yield f"the outcome {name!r} happened {len(found)} times, expected {wanted}; {_in_turns(found)}"


def _outcomes_of(turn: HeardTurn) -> list[Any]:
    return turn.record.outcomes if turn.record else []


def _in_turns(numbers: Sequence[int]) -> str:
    said = " and ".join(str(number) if number else "the end" for number in numbers)
    return f"in turn{'s' if len(numbers) > 1 else ''} {said}"


def _tools(end: End, call: Call) -> Iterator[str]:
    for one in end.tools:
        wanted = EndCall(name=one) if isinstance(one, str) else one
        expected = Called(wanted.name, **wanted.args)
        made = [(number, each) for number, each in _calls(call) if each.name == wanted.name]
        fitting = [number for number, each in made if expected.fits(each) and each.status == "done"]
        if not fitting:
            other = "; ".join(
                f"turn {number}: {shown_call(each.name, each.args)} ({each.status})" for number, each in made
            )
            yield f"{expected!r} never succeeded; {f'instead {other}' if made else 'it was not called'}"
        elif wanted.times is not None and len(fitting) != wanted.times:
            yield f"{expected!r} succeeded {len(fitting)} times, expected {wanted.times}; {_in_turns(fitting)}"


def _calls(call: Call) -> list[tuple[int, ToolCall]]:
    return [(number, each) for number, turn in call.numbered for each in turn.tools]


def _absent(end: End, call: Call) -> Iterator[str]:
    for number, each in _calls(call):
        if each.name in end.absent_tools:
            yield f"turn {number}: {shown_call(each.name, each.args)} was called, expected no call of {each.name}"


def _data(end: End, call: Call) -> Iterator[str]:
    sent = [content for turn in call.turns for content in turn.data]
    for part in end.data:
        if not any(is_part(part, content) for content in sent):
            yield f"expected {part!r} in the data for the browser, got {sent!r}"


def _words(end: End, call: Call) -> Iterator[str]:
    for text in end.said:
        if not any(heard_in(text, turn.heard) for turn in call.turns):
            last = call.numbered[-1:]
            yield f"the caller never heard {text!r}" + "".join(
                f"; {place(*one)} ended with {one[1].heard!r}" for one in last
            )
    for number, turn in call.numbered:
        for text in end.unsaid:
            if heard_in(text, turn.spoken):
                yield f"{place(number, turn)}: expected not to hear {text!r}, heard {turn.spoken!r}"
    if end.grounded:
        for number, amount in ungrounded(call.turns, call.records):
            yield f"{place(number, call.turns[number - 1])}: {amount} was spoken, but no tool, prompt or caller named it"


def _limits(end: End, call: Call) -> Iterator[str]:
    if end.within_turns is not None and call.messages > end.within_turns:
        turn = place(*call.spoken[end.within_turns])
        yield f"the caller needed {call.messages} messages, expected at most {end.within_turns}; {turn} was one too many"
    cost = call.cost
    if end.max_cost is not None and (cost.known is None or cost.amount > end.max_cost):
        yield f"the call cost {cost}, expected at most {dollars(end.max_cost)}"
