"""Each agent of the gallery ships a simulated call, which passes offline with every seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from layercode_app.testing.evals.run_scenarios import evaluate
from layercode_app.testing.evals.scenario import load

from ..thoroughness import times
from .talking import AGENTS

FILES = sorted((AGENTS / "evals").glob("*.yaml"))


def test_every_agent_has_one() -> None:
    assert [path.stem for path in FILES] == [path.stem for path in sorted(AGENTS.glob("*.py"))]
    for path in FILES:
        simulated = [scenario for scenario in load(path).scenarios if scenario.caller]
        assert simulated
        assert all(scenario.caller and scenario.caller.goal and scenario.end for scenario in simulated)


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_it_passes_with_every_seed(path: Path) -> None:
    played = await evaluate(load(path), agents=AGENTS, repeat=times(10), seed=1, concurrency=10)
    assert [one.reasons for one in played] == [[]] * len(played)
