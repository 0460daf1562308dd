"""Find the simulated callers in scenario files, for the dev page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..exceptions import ConfigurationError
from ..journal.record import Json
from ..testing.evals.scenario import Scenario, load, scenario_files

FOLDER = "evals"
"""The folder of scenario files, in the project and beside agent files."""


@dataclass(frozen=True)
class FileCaller:
    """A scenario with a simulated caller, and the name that the dev page shows for the scenario's file."""

    agent: str
    file: str
    scenario: Scenario

    def to_json(self) -> Json:
        """Return the caller as JSON for the page's list of callers."""
        spec = self.scenario.caller
        assert spec is not None
        return {
            "agent": self.agent,
            "file": self.file,
            "scenario": self.scenario.name,
            "persona": spec.persona,
            "goal": spec.goal,
            "needs_model": spec.script is None,
            "behaviour": [name for name, share in spec.behaviour.model_dump().items() if share],
            "max_turns": spec.max_turns,
            "mocked": list(self.scenario.mock),
            "graded": self.scenario.end is not None,
        }


@dataclass(frozen=True)
class CallersFound:
    """The callers of all files, and the error of each file that cannot be read."""

    callers: list[FileCaller] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)

    def get(self, agent: str, file: str, scenario: str) -> FileCaller:
        """Return one caller. Raises ConfigurationError, which says what is missing or broken."""
        if file in self.broken:
            raise ConfigurationError(self.broken[file])
        known = [one for one in self.callers if one.file == file and one.agent == agent]
        for one in known:
            if one.scenario.name == scenario:
                return one
        names = ", ".join(repr(one.scenario.name) for one in known) or "none"
        raise ConfigurationError(
            f"{file} has no scenario {scenario!r} with a `caller` for agent {agent!r}; expected one of: {names}."
        )

    def to_json(self) -> Json:
        """Return the callers and the broken files for the page."""
        broken = [{"file": file, "error": error} for file, error in self.broken.items()]
        return {"callers": [one.to_json() for one in self.callers], "broken": broken}


def find_callers(project: Path, agent_folders: Iterable[Path], names: Mapping[str, str]) -> CallersFound:
    """Return the simulated callers in the scenario files of the project and of the agent folders.

    This blocks, because it reads the files, so call it in a thread.

    `names` maps the value of `agent` in a scenario file, such as `package.module:attribute`, to the agent's name.
    """
    found = CallersFound()
    for path, shown in _files(project, agent_folders):
        try:
            file = load(path)
        except ConfigurationError as error:
            found.broken[shown] = str(error)
            continue
        callers = [one for one in file.scenarios if one.caller is not None]
        found.callers.extend(FileCaller(names.get(file.agent, file.agent), shown, one) for one in callers)
    return found


def _files(project: Path, agent_folders: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield each scenario file once, with a unique name for the page.

    The name is the file's path relative to the project, or its absolute path if it is outside the project.
    """
    folders = dict.fromkeys((each / FOLDER).resolve() for each in (project, *agent_folders))
    for path in (path for folder in folders for path in scenario_files(folder)):
        inside = path.is_relative_to(project.resolve())
        yield path, path.relative_to(project.resolve()).as_posix() if inside else str(path)
