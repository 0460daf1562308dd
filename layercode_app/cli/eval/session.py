"""Run `eval`: play one scenario file after another, with a progress bar and without logs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...exceptions import ConfigurationError
from ...output.progress import steps

if TYPE_CHECKING:
    from ...testing.evals.run_scenarios import Played
    from ...testing.evals.scenario import ScenarioFile


def play(
    files: Sequence[ScenarioFile],
    *,
    agents: Path | None,
    models: Sequence[str] | None,
    repeat: int,
    concurrency: int,
    judge: str | None,
    caller_model: str | None,
    seed: int,
) -> list[Played]:
    """Play every file. Raises ConfigurationError if pydantic-evals is not installed."""
    from loguru import logger

    try:
        from ...testing.evals.run_scenarios import evaluate
    except ModuleNotFoundError as error:
        if error.name != "pydantic_evals":
            raise
        raise ConfigurationError("`eval` needs pydantic-evals: pip install 'layercode-app[evals]'") from None
    from ...settings import export_env_file
    from ...testing.evals.judge import model_judge

    export_env_file()
    judging = None if judge is None else model_judge(judge)
    chosen: list[str | None] = [*models] if models else [None]
    total = sum(len(file.scenarios) for file in files) * repeat * len(chosen)

    async def all_files() -> list[Played]:
        with steps("playing", total) as step:
            return [
                played
                for file in files
                for played in await evaluate(
                    file,
                    agents=agents,
                    models=chosen,
                    repeat=repeat,
                    concurrency=concurrency,
                    judge=judging,
                    caller_model=caller_model,
                    seed=seed,
                    done=step,
                )
            ]

    logger.disable("layercode_app")
    try:
        return asyncio.run(all_files())
    finally:
        logger.enable("layercode_app")
