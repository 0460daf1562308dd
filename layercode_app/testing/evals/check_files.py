"""Check scenario files before the first run: their agents, models, mocked tools, judges and callers."""

from __future__ import annotations

from collections.abc import Sequence

from ...agent.discovery import Found
from ..call import AgentCall
from .run_scenarios import questions_of
from .scenario import ScenarioFile
from .simulated.minds import mind_of


def check_files(
    files: Sequence[ScenarioFile],
    agents: Found | None,
    *,
    models: Sequence[str | None],
    judges: Sequence[str],
    caller_model: str | None,
) -> None:
    """Raise DeveloperError for the first mistake in a file or an option, before any model is paid.

    `agents` are the agents found in the agent files. It may be None if every file has the address of its agent.
    """
    for file in files:
        _check_callers(file, judges, caller_model)
        for model in models:
            call = AgentCall(file.agent, agents=agents, model=model)
            for tool in {tool for scenario in file.scenarios for tool in scenario.mock}:
                call.mock(tool, returns=None)


def _check_callers(file: ScenarioFile, judges: Sequence[str], caller_model: str | None) -> None:
    make_mind = mind_of(file, caller_model)
    for scenario in file.scenarios:
        questions_of(scenario, judges)
        if scenario.caller is not None:
            make_mind(scenario.caller)
