"""The progress of an evaluation: for each agent, scenario and model, which runs are finished and which are running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..turn import HeardTurn
from .played import Play, Played
from .scenario import ScenarioFile

Key: TypeAlias = tuple[str, str, str]
"""Agent, scenario and model."""


@dataclass
class Row:
    """The runs of one scenario with one agent and one model."""

    agent: str
    scenario: str
    model: str
    total: int = 0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    """Runs that were not played, because the budget was spent."""
    spent: float = 0.0
    """Known dollars of the finished runs."""
    running: dict[int, Sequence[HeardTurn]] = field(default_factory=dict)
    """The turns so far of each run that is being played."""

    @property
    def done(self) -> int:
        """The number of finished runs."""
        return self.passed + self.failed

    @property
    def turns(self) -> list[int]:
        """The current turn of each run that is being played, lowest first; 0 if the run's call has not begun."""
        return sorted(len(turns) for turns in tuple(self.running.values()))


class Progress:
    """Counts runs while an evaluation plays them. A display may read it from another thread at any time.

    A display does not slow the runs down: each run only hands over its list of turns, which grows during the call.
    """

    def __init__(self, files: Sequence[ScenarioFile], models: Sequence[str | None], repeat: int) -> None:
        self._rows: dict[Key, Row] = {}
        for file in files:
            for model in models:
                for scenario in file.scenarios:
                    key = file.agent, scenario.name, model or ""
                    self._rows.setdefault(key, Row(*key)).total += repeat

    @property
    def rows(self) -> tuple[Row, ...]:
        """A row for each agent, model and scenario, in the order in which they are played."""
        return tuple(self._rows.values())

    @property
    def done(self) -> int:
        """The number of finished runs of all rows."""
        return sum(row.done for row in self.rows)

    @property
    def total(self) -> int:
        """The number of planned runs of all rows."""
        return sum(row.total for row in self.rows)

    def begin(self, run: Play, turns: Sequence[HeardTurn]) -> None:
        """Count a run as running; `turns` grows while the call goes on."""
        self._row(run).running[id(run)] = turns

    def end(self, run: Play, played: Played | None) -> None:
        """Count a run as finished. If it was stopped, `played` is None, and the run is only removed from `running`."""
        row = self._row(run)
        row.running.pop(id(run), None)
        if played is not None:
            row.passed += played.passed
            row.failed += not played.passed
            row.spent += played.spent

    def skip(self, run: Play) -> None:
        """Count a run as not played, because the budget was spent."""
        self._row(run).skipped += 1

    def _row(self, run: Play) -> Row:
        return self._rows[run.agent, run.scenario.name, run.model or ""]
