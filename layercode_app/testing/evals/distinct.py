"""Give scenarios of different files different names, because results and baselines are kept by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from .scenario import ScenarioFile

Named: TypeAlias = tuple[str, str]
"""The names of an agent and a scenario."""


def distinct(loaded: Sequence[tuple[Path, ScenarioFile]]) -> list[ScenarioFile]:
    """Return the loaded files, with different names for scenarios of different files.

    If several files use the same name for a scenario of the same agent, each of these scenarios is renamed to
    `FILE: NAME`.
    """
    users: dict[Named, set[Path]] = {}
    for path, file in loaded:
        for scenario in file.scenarios:
            users.setdefault((file.agent, scenario.name), set()).add(path)
    shared = {named: found for named, found in users.items() if len(found) > 1}
    return [_renamed(path, file, shared) for path, file in loaded]


def _renamed(path: Path, file: ScenarioFile, shared: dict[Named, set[Path]]) -> ScenarioFile:
    if not any((file.agent, one.name) in shared for one in file.scenarios):
        return file
    scenarios = [
        one.model_copy(update={"name": f"{_title(path, others)}: {one.name}"})
        if (others := shared.get((file.agent, one.name)))
        else one
        for one in file.scenarios
    ]
    return file.model_copy(update={"scenarios": scenarios})


def _title(path: Path, others: set[Path]) -> str:
    """Return the file's name without its extension. If another file in `others` has the same name, return the path."""
    return path.stem if [other.stem for other in others].count(path.stem) == 1 else path.as_posix()
