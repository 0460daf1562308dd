"""Play scenarios against an agent concurrently, each as a case of pydantic-evals."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any

from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import EvaluationReason, Evaluator, EvaluatorContext

from ...exceptions import JudgeError, LayerCodeError
from ..call import AgentCall
from ..turn import HeardTurn
from .caller import MOST_TURNS, Caller, MakeCaller, ScriptedCaller
from .expectations import failures
from .judge import Judge
from .scenario import Scenario, ScenarioFile, Step


@dataclass(frozen=True)
class Play:
    """One run to play: a scenario with one model."""

    agent: str
    scenario: Scenario
    model: str | None
    number: int


@dataclass
class Played:
    """The result of one run: failed checks, verdicts of the judge, and the conversation."""

    scenario: str
    model: str
    number: int
    labels: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Why the judge gave no verdict, which is no fault of the agent."""
    seconds: float = 0.0
    verdicts: list[dict[str, str]] = field(default_factory=list)
    transcript: str = ""
    ttfs_ms: list[float] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether no check failed, the judge answered, and no verdict is no. A failed check overrides the judge."""
        return not self.failures and not self.errors and not any(verdict["answer"] == "no" for verdict in self.verdicts)

    @property
    def reasons(self) -> list[str]:
        """The reasons why it did not pass."""
        said = [f"the judge says no to {v['question']!r}: {v['reason']}" for v in self.verdicts if v["answer"] == "no"]
        return [*self.errors, *self.failures, *said]

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        return {**vars(self), "passed": self.passed, "reasons": self.reasons}


@dataclass
class Expected(Evaluator[Play, Played, Any]):
    """An evaluator that reports to pydantic-evals whether a scenario passed, and why not."""

    def evaluate(self, ctx: EvaluatorContext[Play, Played, Any]) -> EvaluationReason:
        """Return the assertion of one case."""
        return EvaluationReason(ctx.output.passed, "; ".join(ctx.output.reasons))


async def evaluate(
    file: ScenarioFile,
    *,
    agents: Path | None = None,
    agent: Any = None,
    models: Sequence[str | None] = (None,),
    repeat: int = 1,
    concurrency: int = 4,
    judge: Judge | None = None,
    caller: MakeCaller = ScriptedCaller,
    done: Callable[[], None] = lambda: None,
) -> list[Played]:
    """Play every scenario of a file `repeat` times with every model. `agent` overrides the file's agent.

    `caller` makes the caller of each run; by default a caller who says the scenario's turns.
    """
    plays = [
        Play(file.agent, scenario, model, number)
        for model in models
        for scenario in file.scenarios
        for number in range(1, repeat + 1)
    ]
    played: dict[tuple[str, str | None, int], Played] = {}

    async def task(play: Play) -> Played:
        played[_key(play)] = await _play(play, agent or play.agent, agents, judge, caller(play.scenario))
        done()
        return played[_key(play)]

    cases = [Case(name=f"{p.scenario.name} {p.model or ''} {p.number}", inputs=p) for p in plays]
    make: Any = Dataset
    dataset = make(cases=cases, evaluators=[Expected()], **_taken(make, name="scenarios"))
    with warnings.catch_warnings():
        # Without Logfire, pydantic-evals would warn about missing spans in the middle of the table.
        warnings.filterwarnings("ignore", message="No logs or spans will be created")
        try:
            await dataset.evaluate(task, max_concurrency=concurrency, **_taken(dataset.evaluate, progress=False))
        except ExceptionGroup as errors:
            known, others = errors.split(LayerCodeError)
            if known is None or others is not None:
                raise
            raise _first(known) from None
    return [played[_key(play)] for play in plays]


def _first(errors: ExceptionGroup[LayerCodeError]) -> LayerCodeError:
    """Return the first error: concurrent scenarios raise the same one many times."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


def _taken(function: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    """Return the arguments that the installed release of pydantic-evals accepts."""
    known = signature(function).parameters
    return {name: value for name, value in arguments.items() if name in known}


def _key(play: Play) -> tuple[str, str | None, int]:
    return play.scenario.name, play.model, play.number


async def _play(play: Play, agent: Any, agents: Path | None, judge: Judge | None, caller: Caller) -> Played:
    scenario = play.scenario
    call = AgentCall(agent, agents=agents, model=play.model, metadata=scenario.metadata)
    for tool, answer in scenario.mock.items():
        call.mock(tool, returns=answer)
    played = Played(scenario.name, play.model or "", play.number, list(scenario.labels))
    begun = time.perf_counter()
    try:
        await _converse(call, caller, scenario, played, judge)
    except AssertionError as error:
        played.failures.append(str(error).partition("\n")[0])
    except JudgeError as error:
        played.errors.append(str(error).partition("\n")[0])
    finally:
        played.seconds = round(time.perf_counter() - begun, 3)
        played.transcript = call.transcript
        await call.close()
    return played


async def _converse(call: AgentCall, caller: Caller, scenario: Scenario, played: Played, judge: Judge | None) -> None:
    """Run the conversation until the caller hangs up, or fail it after MOST_TURNS turns."""
    while (step := await caller.next(tuple(call.turns))) is not None:
        if len(call.turns) == MOST_TURNS:
            played.failures.append(f"the caller did not hang up within {MOST_TURNS} turns")
            return
        if step.interrupt is not None:
            call.interrupt(after=step.interrupt, playing=step.playing)
        turn = await _take_turn(call, step, scenario)
        _note(played, turn, [f"turn {len(call.turns)}: {failure}" for failure in failures(turn, step.expect)])
        if step.judge and judge is not None:
            verdict = await judge(step.judge, call.transcript)
            played.verdicts.append({"question": step.judge, **verdict.model_dump()})


async def _take_turn(call: AgentCall, step: Step, scenario: Scenario) -> HeardTurn:
    fields: dict[str, Any] = scenario.model_dump(include={"from_phone_number", "to_phone_number"}, exclude_none=True)
    if step.metadata:
        fields["metadata"] = step.metadata
    return await (call.greet(**fields) if step.say is None else call.say(step.say, **fields))


def _note(played: Played, turn: HeardTurn, failed: list[str]) -> None:
    played.failures += failed
    if turn.ttfs is not None:
        played.ttfs_ms.append(round(turn.ttfs, 1))
