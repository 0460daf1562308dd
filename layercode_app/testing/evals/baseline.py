"""Compare an evaluation with a saved baseline, and report the results that are worse by more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from ...exceptions import ConfigurationError
from .chance import ALPHA, chance_of_fewer, more_than_chance

Row: TypeAlias = Mapping[str, Any]
"""The result of a scenario with a model: the number of `runs`, and how many `passed`."""
Baseline: TypeAlias = Mapping[tuple[str, str, str], Row]
"""The results of an earlier evaluation by agent, scenario and model."""
TOGETHER = "all scenarios together"
FEWEST_RUNS = 3
"""With fewer runs, now or in the baseline, Fisher's exact test is not used."""


class _SavedRow(BaseModel):
    """A row of a saved evaluation. The row in the file has more fields, which are not compared.

    `agent` is empty if an older version wrote the row.
    """

    agent: str = ""
    scenario: str
    model: str
    runs: int = Field(gt=0, strict=True)
    passed: int = Field(ge=0, strict=True)

    @model_validator(mode="after")
    def _passed_runs(self) -> Self:
        if self.passed > self.runs:
            raise ValueError(f"{self.passed} of {self.runs} runs passed; expected at most {self.runs}")
        return self


def regressions(rows: Sequence[Row], baseline: Baseline) -> list[str]:
    """Return a line for each result that is worse than the baseline by more than chance.

    A scenario that is not in the baseline must pass in every run. If a scenario has fewer than FEWEST_RUNS runs, now or
    in the baseline, any lower pass rate counts as worse. Scenarios with at least FEWEST_RUNS runs, now and in the
    baseline, are compared one by one. If there are several such scenarios, the sums of their runs are also compared.
    """
    found = [(row, baseline.get(_key(row)) or baseline.get(("", *_key(row)[1:]))) for row in rows]
    pairs = [(row, before) for row, before in found if before is not None]
    new = [row for row, before in found if before is None and row["passed"] < row["runs"]]
    unknown = "it is not in the baseline, so every run must pass"
    return [*_worse(pairs), *(f"{row['scenario']}: {_passed(row)}; {unknown}" for row in new)]


def _worse(pairs: Sequence[tuple[Row, Row]]) -> list[str]:
    few = "there are too few runs to tell this from chance: use --repeat"
    found = [f"{_line(*pair)}; {few}" for pair in pairs if _has_few(*pair) and _rate(pair[0]) < _rate(pair[1])]
    tested = [pair for pair in pairs if not _has_few(*pair)]
    if len(tested) > 1:
        tested.append((_sum([row for row, _ in tested]), _sum([before for _, before in tested])))
    chances = [_chance(row, before) for row, before in tested]
    return found + [
        f"{_line(*pair)}; by chance alone this happens in {chance:.1%} of comparisons"
        for pair, chance, worse in zip(tested, chances, more_than_chance(chances), strict=True)
        # With many scenarios and few runs, Holm's method would not report even a scenario that fails every time.
        if worse or (chance <= ALPHA < _least_chance(*pair) * len(tested))
    ]


def _has_few(row: Row, before: Row) -> bool:
    return bool(min(row["runs"], before["runs"]) < FEWEST_RUNS)


def _least_chance(row: Row, before: Row) -> float:
    """Return the lowest p-value that is possible with the numbers of runs of the two rows.

    The p-value is lowest if all runs passed before and none passes now.
    """
    return chance_of_fewer(0, row["runs"], before["runs"], before["runs"])


def read_baseline(baseline: Path) -> Baseline:
    """Read a file that `eval --save` wrote. Raises ConfigurationError if it cannot be read or has another format."""
    try:
        rows = TypeAdapter(list[_SavedRow]).validate_json(baseline.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = " ".join(map(str, first["loc"])) or "the file"
        raise ConfigurationError(
            f"--baseline {baseline}: expected a file written by --save ({place}: {first['msg']})."
        ) from error
    except OSError as error:
        raise ConfigurationError(f"--baseline {baseline}: expected a file written by --save ({error}).") from error
    return {_key(row): row for row in (saved.model_dump() for saved in rows)}


def _key(row: Row) -> tuple[str, str, str]:
    return row["agent"], row["scenario"], row["model"]


def _sum(rows: Sequence[Row]) -> Row:
    return {"scenario": TOGETHER, "model": "", **{name: sum(row[name] for row in rows) for name in ("passed", "runs")}}


def _chance(row: Row, before: Row) -> float:
    return chance_of_fewer(row["passed"], row["runs"], before["passed"], before["runs"])


def _rate(row: Row) -> float:
    return float(row["passed"] / row["runs"])


def _passed(row: Row) -> str:
    return f"{row['passed']} of {row['runs']} passed"


def _line(row: Row, before: Row) -> str:
    return f"{row['scenario']}: {_passed(row)}, before {before['passed']} of {before['runs']}"
