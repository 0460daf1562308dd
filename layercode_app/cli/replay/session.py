"""Run `replay`: find the recording, then either replay it with logging disabled, or write a scenario."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...exceptions import ConfigurationError
from ...output.files import write_file
from ...output.progress import steps

if TYPE_CHECKING:
    from ...replay.recording import Recording
    from ...replay.replay import Replay


@dataclass(frozen=True)
class Replaying:
    """The arguments of `replay` that select the recording and the agent."""

    source: str
    agent: str | None
    agents: Path | None
    store: str | None


def replay_recording(
    asked: Replaying, *, model: str | None, run_tools: bool, semantic: bool, judge: str | None
) -> Replay:
    """Replay a recording. Raises DeveloperError if the recording or the agent is not found."""
    from loguru import logger

    from ...agent.live_judges import named_judge
    from ...replay.call_agents import load_agents
    from ...replay.replay import Options, replay
    from ...settings import export_env_file, load_settings
    from ...settings.limits import Limits

    export_env_file()
    settings = load_settings({"store": asked.store})
    options = Options(model, run_tools, semantic, None if judge is None else named_judge(judge))
    logger.disable("layercode_app")

    async def work() -> Replay:
        recording = await _find(asked, settings)
        later = [turn.agent for turn in recording.spoken if turn.agent != recording.agent]
        loaded = load_agents(asked.agent or recording.agent, later, asked.agents or settings.agents_dir)
        others, why, limits = loaded.others, loaded.missing, Limits.of(settings)
        with steps("replaying", len(recording.spoken)) as step:
            return await replay(recording, loaded.voice, options, others=others, why=why, limits=limits, done=step)

    try:
        return asyncio.run(work())
    finally:
        logger.enable("layercode_app")


async def _find(asked: Replaying, settings: Any) -> Recording:
    from ...replay.recording import find_recording

    return await find_recording(asked.source, store=settings.store)


def promote_recording(
    asked: Replaying, path: Path, *, also: Iterable[str], keep: Iterable[str]
) -> list[dict[str, Any]]:
    """Write a recording as a scenario file. Return the personal details that were replaced in it, with their counts.

    The texts in `also` are replaced too. The texts in `keep` are never replaced. Raises ConfigurationError if the file
    exists or cannot be written.
    """
    from ...replay.promote import HEADER, promote
    from ...replay.replacements import StandIns
    from ...settings import load_settings
    from ...testing.evals.scenario import dump

    if path.exists():
        raise ConfigurationError(f"--promote {path}: the file exists already. Choose another name, or remove it.")
    recording = asyncio.run(_find(asked, load_settings({"store": asked.store})))
    stand_ins = StandIns(recording.turns, also=also, keep=keep)
    file = promote(recording, stand_ins, name=path.stem, agent=asked.agent)
    write_file(path, HEADER + dump(file))
    return stand_ins.replaced
