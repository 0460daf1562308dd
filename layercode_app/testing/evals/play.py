"""Play one run of a scenario: the caller and the agent talk, and every turn and the end are checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import anyio

from ...agent.discovery import Found
from ...conversation.caller_notes import write_notes
from ...exceptions import CallerError, JudgeError
from ...judging.judge import WHOLE_CALL, Judge
from ...judging.spending import Spent, counting
from ..call import AgentCall
from ..turn import HeardTurn
from .caller import MOST_TURNS, Caller
from .expectations import failures
from .judged_case import case_of
from .played import Play, Played
from .scenario import Scenario, Step
from .simulated.grade import Call, call_of, grade
from .simulated.simulated_caller import Account, SimulatedCaller
from .told_turn import told_turn

CLOSE_SECONDS = 30.0
"""The time that an agent gets to finish its work after the call."""


async def play(
    run: Play,
    agent: Any,
    agents: Found | None,
    judge: Judge | None,
    caller: Caller,
    begin: Callable[[Play, Sequence[HeardTurn]], None] = lambda run, turns: None,
) -> Played:
    """Play one run. The agent's mistakes become failures; a caller or judge that gives no answer becomes an error.

    An error before the call begins is raised, such as a DeveloperError for a mocked tool that no agent has. Every later
    error becomes an error of this run, so that the results of the other runs are not lost.

    `begin` is called at the start, with the run and its list of turns. The list grows during the call.
    """
    scenario = run.scenario
    limits = scenario.model_dump(include={"history_tokens"}, exclude_none=True)
    call = AgentCall(agent, agents=agents, model=run.model, settings=limits, metadata=scenario.metadata)
    for tool, answer in scenario.mock.items():
        call.mock(tool, returns=answer)
    begin(run, call.turns)
    played = Played(scenario.name, run.model or "", run.number, list(scenario.labels), agent=run.agent)
    begun = time.perf_counter()
    spent = Spent()
    broke_off = True
    try:
        with counting(spent):
            for caller_id, facts in scenario.notes.items():
                await write_notes(call.app.store, caller_id, facts)
            await _converse(call, caller, scenario, played, judge)
            await _end(call, caller, run, played, judge)
        broke_off = False
    except AssertionError as error:
        played.failures.append(str(error).partition("\n")[0])
    except (JudgeError, CallerError) as error:
        played.errors.append(str(error).partition("\n")[0])
    except Exception as error:  # noqa: BLE001 - a caller, function or model of the project may raise anything
        told = str(error).partition("\n")[0]
        played.errors.append(f"the caller or a judge raised {type(error).__name__}: {told}")
    finally:
        played.broke_at = len(call.turns) if broke_off else 0
        played.seconds = round(time.perf_counter() - begun, 3)
        played.helper_cost, played.unpriced = spent.amount, spent.unpriced
        # Without the shield, Ctrl-C would cancel each await here, and the server of the call would keep running.
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await _account(call, caller, played)
            await call.close()
    return played


async def _converse(call: AgentCall, caller: Caller, scenario: Scenario, played: Played, judge: Judge | None) -> None:
    """Run the conversation until the caller hangs up. After MOST_TURNS turns, record a failure and stop.

    For a simulated caller the limit is `max_turns`, which the caller enforces. Also record a failure and stop if the
    caller says more after the agent hung up, unless the scenario expects the hang-up.
    """
    before = Step()
    while (step := await caller.next(tuple(call.turns))) is not None:
        if len(call.turns) == MOST_TURNS and not isinstance(caller, SimulatedCaller):
            played.failures.append(f"the caller did not hang up within {MOST_TURNS} turns")
            return
        if _is_unheard(step, before, call.turns):
            played.failures.append(f"the agent hung up in turn {len(call.turns)}, before the caller said {step.say!r}")
            return
        before = step
        if step.in_tool or step.interrupt is not None:
            cut = {"in_tool": step.in_tool, "playing": step.playing, "required": step.must_interrupt}
            call.interrupt(after=step.interrupt, **cut)
        turn = await _take_turn(call, step, scenario)
        _note(played, turn, [f"turn {len(call.turns)}: {failure}" for failure in failures(turn, step.expect)])
        if step.judge and judge is not None:
            verdict = await judge(step.judge, call.transcript)
            played.verdicts.append({"question": step.judge, "turn": len(call.turns), **verdict.model_dump()})


def _is_unheard(step: Step, before: Step, turns: Sequence[HeardTurn]) -> bool:
    """Return whether the agent hung up before this step, so that it does not hear the caller's words.

    Even after a hang-up, return False if this step has no words, or if the step before expects the hang-up. A step
    without words means that the caller connects again. After an expected hang-up, the scenario continues on purpose.
    """
    return bool(turns) and turns[-1].hangup and step.say is not None and not before.expect.hangup


async def _take_turn(call: AgentCall, step: Step, scenario: Scenario) -> HeardTurn:
    fields: dict[str, Any] = scenario.model_dump(include={"from_phone_number", "to_phone_number"}, exclude_none=True)
    if step.metadata:
        fields["metadata"] = step.metadata
    return await (call.greet(**fields) if step.say is None else call.say(step.say, **fields))


def _note(played: Played, turn: HeardTurn, failed: list[str]) -> None:
    played.failures += failed
    if turn.ttfs is not None:
        played.ttfs_ms.append(round(turn.ttfs, 1))


async def _end(call: AgentCall, caller: Caller, run: Play, played: Played, judge: Judge | None) -> None:
    """Grade and judge the whole conversation.

    If the caller is simulated, first send `session.end`, so that the `on_session_end` hooks run.
    """
    if isinstance(caller, SimulatedCaller):
        await call.end()
    stored = (await call.app.store.conversation(call.conversation_id)).state
    told = call_of(call.turns, await call.records(), stored, _asides(caller))
    if run.scenario.end is not None:
        played.failures += grade(run.scenario.end, told)
    account = caller.account if isinstance(caller, SimulatedCaller) else Account()
    # If the scenario has an `end`, only the `end` decides. But a call that `max_turns` stopped always fails.
    if account.unfinished and (run.scenario.end is None or account.hung_up == "max_turns"):
        played.failures.append(f"the call did not come to its end: {account.unfinished}")
    if judge is not None and run.judges:
        case = case_of(run.scenario, told, call.transcript)
        for name, question in run.judges.items():
            verdict = await judge(WHOLE_CALL + question, case)
            played.verdicts.append({"question": name, **verdict.model_dump()})


async def _account(call: AgentCall, caller: Caller, played: Played) -> None:
    """Record the transcript, the cost and the caller's behaviour, even if the run broke off."""
    records = await call.records()
    told = Call(call.turns, records, asides=_asides(caller))
    played.transcript = call.transcript
    of_turn = {record.turn_id: record for record in records}
    played.conversation = [told_turn(turn, of_turn.get(turn.turn_id)) for turn in call.turns]
    played.turns, played.cost = told.messages, told.cost.known
    played.unpriced += told.cost.unknown
    played.interruptions = sum(turn.interrupted for turn in call.turns)
    if isinstance(caller, SimulatedCaller):
        played.behaviours, played.notes = caller.account.behaviours, caller.account.notes
        played.hung_up = caller.account.hung_up


def _asides(caller: Caller) -> list[int]:
    return caller.account.asides if isinstance(caller, SimulatedCaller) else []
