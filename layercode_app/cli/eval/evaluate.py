"""`eval`: play scenario files against an agent, and show where its replies differ from the expected replies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import AgentsDir, AsJson, output_file


def evaluate(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Scenario files (YAML). Or the word `judge-check`, then files with human labels (JSON lines)."
        ),
    ] = None,
    agents: AgentsDir = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(help="Override the agent named in the files. Repeat it to compare agents side by side."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Override the agent's model. Repeat it to compare models side by side."),
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Repetitions per scenario.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, help="Concurrent scenarios.")] = 4,
    caller_model: Annotated[
        str | None, typer.Option(help="Model that plays simulated callers who have a goal and no script.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated callers' behaviour.")] = 0,
    interruptions: Annotated[
        str | None,
        typer.Option(
            help="`matrix` plays each simulated scenario with each of six interruptions, and ignores `behaviour`."
        ),
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(min=0, help="Start no more runs once all models together have cost this many dollars."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted evaluation.")] = False,
    judge: Annotated[str | None, typer.Option(help="Model that answers the `judge` questions.")] = None,
    judges: Annotated[
        list[str] | None,
        typer.Option(help="Name of a stock judge of whole calls, or `all`. Needs --judge. Repeatable."),
    ] = None,
    as_json: AsJson = False,
    junit: Annotated[Path | None, typer.Option(help="Also write a JUnit file.", callback=output_file)] = None,
    html: Annotated[Path | None, typer.Option(help="Also write an HTML page.", callback=output_file)] = None,
    save: Annotated[Path | None, typer.Option(help="Save the results as a baseline.", callback=output_file)] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Fail if the results are worse than this baseline by more than chance.")
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of scenario files.")] = False,
) -> None:
    """Evaluate an agent with scenarios of turns and expectations. A judge model checks what code cannot check."""
    from ...output.terminal import print_json
    from ...testing.evals import scenario
    from ...testing.evals.distinct import distinct

    if schema:
        print_json(scenario.schema())
        return
    if not files:
        raise typer.BadParameter("give at least one scenario file", param_hint="FILE")
    if str(files[0]) == "judge-check":
        from .judge_check import judge_check, refuse_other_options

        refuse_other_options(context)
        judge_check(files[1:], judge, concurrency=concurrency, as_json=as_json)
        return
    if judges and not judge:
        raise typer.BadParameter("needs --judge with the model that answers the questions", param_hint="--judges")
    for name, values in {"--agent": agent or [], "--model": model or []}.items():
        _check_compared(name, values)
    from .session import play

    if interruptions not in (None, "matrix"):
        raise typer.BadParameter(f"{interruptions!r}; expected matrix", param_hint="--interruptions")
    pairs = [(path, scenario.load(path)) for path in files]
    if agent:
        pairs = [(path, file.model_copy(update={"agent": name})) for name in agent for path, file in pairs]
    loaded = distinct(pairs)
    if interruptions:
        from ...testing.evals.simulated.drill import matrix

        loaded = [matrix(file) for file in loaded]
    from ...testing.evals.baseline import read_baseline

    # Read now, so that a wrong baseline is an error before any model is paid.
    before = None if baseline is None else read_baseline(baseline)
    played, skipped = play(
        loaded,
        agents=agents,
        models=model,
        repeat=repeat,
        concurrency=concurrency,
        judge=judge,
        judges=judges or (),
        caller_model=caller_model,
        seed=seed,
        resume=resume,
        max_cost=max_cost,
        live=not as_json,
    )

    from ...testing.evals.results import report

    written = {"junit": junit, "html": html, "save": save}
    raise SystemExit(0 if report(played, skipped, baseline=before, as_json=as_json, files=written) else 1)


def _check_compared(option: str, values: list[str]) -> None:
    """Raise BadParameter if a value is empty or given twice.

    The results are listed by agent and model, so the results of two equal values could not be told apart.
    """
    if not all(value.strip() for value in values):
        raise typer.BadParameter("the value is empty; expected a name, or omit the option", param_hint=option)
    if twice := [value for number, value in enumerate(values) if value in values[:number]]:
        raise typer.BadParameter(
            f"{twice[0]!r} is given twice; use --repeat to play the scenarios again", param_hint=option
        )
