"""Play scenarios against an agent concurrently, each as a case of pydantic-evals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import EvaluationReason, Evaluator, EvaluatorContext

from ...agent.discovery import Found, discover
from ...judging.judge import Judge
from ...judging.stock import questions
from .caller import Caller, MakeCaller, ScriptedCaller
from .ledger import Ledger
from .play import play
from .played import Play as Play
from .played import Played as Played
from .progress import Progress
from .scenario import Scenario, ScenarioFile
from .simulated.minds import mind_of
from .simulated.simulated_caller import SimulatedCaller


@dataclass
class Expected(Evaluator[Play, Played, Any]):
    """An evaluator that reports to pydantic-evals whether a scenario passed, and why not."""

    def evaluate(self, ctx: EvaluatorContext[Play, Played, Any]) -> EvaluationReason:
        """Return whether the run passed, and the reasons if it did not."""
        return EvaluationReason(ctx.output.passed, "; ".join(ctx.output.reasons))


async def evaluate(
    file: ScenarioFile,
    *,
    agents: Path | None = None,
    found: Found | None = None,
    agent: Any = None,
    models: Sequence[str | None] = (None,),
    repeat: int = 1,
    concurrency: int = 4,
    judge: Judge | None = None,
    judges: Sequence[str] = (),
    caller: MakeCaller | None = None,
    caller_model: Any = None,
    seed: int = 0,
    ledger: Ledger | None = None,
    done: Callable[[], None] = lambda: None,
    progress: Progress | None = None,
) -> list[Played]:
    """Play every scenario of a file `repeat` times with every model. `agent` overrides the file's agent.

    The file's agent is looked up in the folder `agents`, or in `found`, the result of `agents_of`.

    `caller` makes the caller of each run; by default the scenario describes the caller. `seed` decides the behaviour of
    simulated callers. A simulated caller without a script is played by `caller_model`, which is a model or its name.
    `ledger` stores finished runs and the budget; runs that exceed the budget are missing in the result. `judges` are
    asked about every run, after the scenario's judges. `done` is called after each run that was played, and `progress`
    counts the runs. Raises the error of the first run that could not be played.
    """
    plays = [
        Play(file.agent, scenario, model, number, questions_of(scenario, judges))
        for model in models
        for scenario in file.scenarios
        for number in range(1, repeat + 1)
    ]
    book, progress = ledger or Ledger(), progress or Progress([file], models, repeat)
    played = {_key(one): known for one in plays if (known := book.known(one)) is not None}
    for one in plays:
        if _key(one) in played:
            progress.end(one, played[_key(one)])
    if found is None and agent is None:
        found = agents_of([file], agents)
    make_mind = mind_of(file, caller_model) if caller is None else None
    broken: list[Exception] = []

    async def task(run: Play) -> Played:
        if not book.has_budget:
            progress.skip(run)
            return Played(run.scenario.name, run.model or "", run.number, errors=[book.skip()])
        one = None
        try:
            speaking = _caller(run, seed, make_mind) if caller is None else caller(run.scenario)
            played[_key(run)] = one = await play(run, agent or run.agent, found, judge, speaking, progress.begin)
        except Exception as error:
            broken.append(error)
            raise
        finally:
            progress.end(run, one)
        book.add(run, one)
        done()
        return one

    try:
        await _run_cases([one for one in plays if _key(one) not in played], task, concurrency)
    except ExceptionGroup:
        if not broken:
            raise
    # Raise the first error: concurrent runs may all fail alike, and newer releases of pydantic-evals raise nothing.
    if broken:
        raise broken[0]
    return [played[_key(one)] for one in plays if _key(one) in played]


def agents_of(files: Sequence[ScenarioFile], agents: Path | None) -> Found | None:
    """Load the agents of a folder; return None if every file has the address of its agent.

    The agents are loaded only once, as in a server: all calls talk to the same agents.
    """
    return discover(agents) if any(":" not in file.agent for file in files) else None


def questions_of(scenario: Scenario, judges: Sequence[str]) -> dict[str, str]:
    """Return the questions about the whole call by name. Raises ConfigurationError for an unknown judge's name."""
    return questions([*(scenario.end.judges if scenario.end else []), *judges])


def _caller(run: Play, seed: int, make_mind: Any) -> Caller:
    spec = run.scenario.caller
    if spec is None:
        return ScriptedCaller(run.scenario)
    return SimulatedCaller(spec, make_mind(spec), seed=seed, scenario=run.scenario.name, run=run.number)


async def _run_cases(plays: Sequence[Play], task: Any, concurrency: int) -> None:
    if not plays:
        return
    cases = [Case(name=f"{p.scenario.name} {p.model or ''} {p.number}", inputs=p) for p in plays]
    make: Any = Dataset
    dataset = make(cases=cases, evaluators=[Expected()], **_taken(make, name="scenarios"))
    with warnings.catch_warnings():
        # Without Logfire, pydantic-evals warns of missing spans. This would be printed in the middle of the table.
        warnings.filterwarnings("ignore", message="No logs or spans will be created")
        await dataset.evaluate(task, max_concurrency=concurrency, **_taken(dataset.evaluate, progress=False))


def _taken(function: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    """Return the arguments that `function` accepts. Not every release of pydantic-evals accepts all arguments."""
    known = signature(function).parameters
    return {name: value for name, value in arguments.items() if name in known}


def _key(play: Play) -> tuple[str, str | None, int]:
    return play.scenario.name, play.model, play.number
