"""`eval`: play scenario files against an agent and show where the replies differ from what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import AgentsDir, AsJson


def evaluate(
    files: Annotated[list[Path] | None, typer.Argument(help="Scenario files, YAML.")] = None,
    agents: AgentsDir = None,
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
    judge: Annotated[str | None, typer.Option(help="Model that answers the `judge` questions.")] = None,
    as_json: AsJson = False,
    junit: Annotated[Path | None, typer.Option(help="Also write a JUnit file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write an HTML page.")] = None,
    save: Annotated[Path | None, typer.Option(help="Save the results as a baseline.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="Fail if this baseline was better.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of scenario files.")] = False,
) -> None:
    """Evaluate an agent with scenarios: turns, expectations, and a judge model for what code cannot decide."""
    import json

    from ...output.terminal import print_json
    from ...testing.evals import scenario

    if schema:
        print_json(scenario.schema())
        return
    if not files:
        raise typer.BadParameter("give at least one scenario file", param_hint="FILE")
    from .session import play

    loaded = [scenario.load(path) for path in files]
    played = play(
        loaded,
        agents=agents,
        models=model,
        repeat=repeat,
        concurrency=concurrency,
        judge=judge,
        caller_model=caller_model,
        seed=seed,
    )

    from ...testing.evals import eval_report

    rows = eval_report.summary(played)
    worse = eval_report.regressions(rows, baseline) if baseline else []
    for path, text in (
        (junit, eval_report.junit(played)),
        (html, eval_report.html(played)),
        (save, json.dumps(rows, indent=2)),
    ):
        if path is not None:
            path.write_text(text, encoding="utf-8")
    passed = all(one.passed for one in played) and not worse
    if as_json:
        runs = [one.to_json() for one in played]
        print_json({"ok": passed, "summary": rows, "worse": worse, "runs": runs}, indent=None)
    else:
        eval_report.show(played, worse)
    raise SystemExit(0 if passed else 1)
