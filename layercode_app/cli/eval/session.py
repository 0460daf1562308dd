"""Run `eval`: play one scenario file after another, with a live table or a progress bar, and without logs."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...exceptions import ConfigurationError
from ...output.live import can_redraw, live_view
from ...output.progress import steps
from ...output.terminal import print_line
from ...reports.figures import counted
from .live_table import LiveTable

if TYPE_CHECKING:
    from ...testing.evals.ledger import Ledger
    from ...testing.evals.progress import Progress
    from ...testing.evals.run_scenarios import Played
    from ...testing.evals.scenario import ScenarioFile

RUNS = Path(".layercode/evals")
"""The folder of the ledgers, which record finished runs. `--resume` skips these runs."""


def play(
    files: Sequence[ScenarioFile],
    *,
    agents: Path | None,
    models: Sequence[str] | None,
    repeat: int,
    concurrency: int,
    judge: str | None,
    judges: Sequence[str],
    caller_model: str | None,
    seed: int,
    resume: bool,
    max_cost: float | None,
    live: bool = False,
) -> tuple[list[Played], int]:
    """Play every file. Return the runs, and the number of runs that the budget did not allow.

    With `live`, a table on the terminal shows the runs while they are played.

    Raises ConfigurationError if pydantic-evals is not installed. Before the first run, raises DeveloperError for a
    mistake in any file or option, such as an unknown agent.
    """
    try:
        from ...testing.evals.check_files import check_files
        from ...testing.evals.run_scenarios import agents_of, evaluate
    except ModuleNotFoundError as error:
        if error.name != "pydantic_evals":
            raise
        raise ConfigurationError("`eval` needs pydantic-evals: pip install 'layercode-app[evals]'") from None
    from ...agent.live_judges import named_judge
    from ...settings import export_env_file

    export_env_file()
    judging = None if judge is None else named_judge(judge)
    chosen: list[str | None] = [*models] if models else [None]
    from ...testing.evals.progress import Progress
    from ...testing.evals.source import source_digest

    with _without_logs():
        found = agents_of(files, agents)
        check_files(files, found, models=chosen, judges=judges, caller_model=caller_model)
    settings = {"seed": seed, "caller": caller_model, "judge": judge, "source": source_digest(files, agents)}
    ledger = _ledger(files, settings, resume=resume, max_cost=max_cost)
    progress = Progress(files, chosen, repeat)

    async def all_files() -> list[Played]:
        with _shown(progress, ledger, live=live) as step:
            return [
                played
                for file in files
                for played in await evaluate(
                    file,
                    found=found,
                    models=chosen,
                    repeat=repeat,
                    concurrency=concurrency,
                    judge=judging,
                    judges=judges,
                    caller_model=caller_model,
                    seed=seed,
                    ledger=ledger,
                    done=step,
                    progress=progress,
                )
            ]

    try:
        with _without_logs():
            return asyncio.run(all_files()), ledger.skipped
    except KeyboardInterrupt:
        finished = f"{progress.done} of {counted(progress.total, 'run')} finished"
        print_line(f"Stopped: {finished}; --resume plays the others.", err=True)
        raise


@contextmanager
def _without_logs() -> Iterator[None]:
    from loguru import logger

    logger.disable("layercode_app")
    try:
        yield
    finally:
        logger.enable("layercode_app")


@contextmanager
def _shown(progress: Progress, ledger: Ledger, *, live: bool) -> Iterator[Callable[[], None]]:
    """Show the live table on a terminal, else a progress bar. Yield a function that must be called after each run."""
    if live and can_redraw():
        with live_view(LiveTable(progress, ledger).draw):
            yield lambda: None
    else:
        with steps("playing", progress.total) as step:
            yield step


def _ledger(files: Sequence[ScenarioFile], settings: dict[str, Any], *, resume: bool, max_cost: float | None) -> Ledger:
    """Return the ledger: the file that records each finished run of these scenarios and its cost."""
    from ...testing.evals.ledger import Ledger

    names = json.dumps([[file.agent, *(scenario.name for scenario in file.scenarios)] for file in files])
    path = RUNS / f"{hashlib.sha256(names.encode()).hexdigest()[:16]}.jsonl"
    return Ledger(path, settings=settings, resume=resume, budget=max_cost)
