"""The finished runs of an evaluation: their costs, and a file from which an interrupted evaluation is resumed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ...exceptions import ConfigurationError
from ...journal.cost import dollars
from .played import Play, Played, from_json


class Ledger:
    """Keeps finished runs, one JSON line each, and stops when the budget is spent.

    Args:
        path: The file of finished runs; without it nothing is kept.
        settings: What decides how a run goes, besides its scenario, such as the seed and the source code. A run is known
            only with the same.
        resume: Keep the runs in the file. Otherwise the file begins anew.
        budget: Dollars for all models together, those of callers and judges too.

    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        settings: dict[str, Any] | None = None,
        resume: bool = False,
        budget: float | None = None,
    ) -> None:
        self.skipped = 0
        """Runs that were not played, because the budget was spent."""
        self.spent = 0.0
        """Known dollars, those of resumed runs included."""
        self._path, self._settings, self._budget = path, settings or {}, budget
        self._known: dict[str, Played] = _read(path) if path and resume else {}
        if path is not None and not resume:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("", encoding="utf-8")
            except OSError:
                # A folder that cannot be written to is no reason not to play.
                self._path = None

    def known(self, run: Play) -> Played | None:
        """Return the result of a run that is finished; its cost counts."""
        found = self._known.get(self._key(run))
        if found is not None:
            self.spent += found.spent
        return found

    def add(self, run: Play, played: Played) -> None:
        """Keep a finished run. A run whose caller or judge gave no answer is played again when resumed."""
        self.spent += played.spent
        if self._path is not None and not played.errors:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": self._key(run), "run": played.to_json()}) + "\n")

    @property
    def has_budget(self) -> bool:
        """Whether another run may begin."""
        return self._budget is None or self.spent < self._budget

    def skip(self) -> str:
        """Count a run that is not played, and return why."""
        self.skipped += 1
        return f"not played, because {dollars(self.spent)} of --max-cost {dollars(self._budget or 0)} was spent"

    def _key(self, run: Play) -> str:
        scenario = run.scenario.model_dump(mode="json")
        told = json.dumps(
            [run.agent, scenario, run.model, run.number, [*run.judges.items()], self._settings], sort_keys=True
        )
        return hashlib.sha256(told.encode()).hexdigest()


def _read(path: Path) -> dict[str, Played]:
    """Return the finished runs by key. The last line may be cut, when the process was killed while it wrote."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return {}
    except OSError as error:
        raise ConfigurationError(
            f"--resume: {path}: {error.strerror}; expected the runs of an earlier `eval`."
        ) from error
    found = {}
    for number, line in enumerate(lines, 1):
        try:
            told = json.loads(line)
            found[told["key"]] = from_json(told["run"])
        except (ValueError, KeyError, TypeError) as error:
            if number < len(lines):
                raise ConfigurationError(
                    f"--resume: {path}:{number} is no finished run ({error}); delete the file to begin anew."
                ) from error
            # Further runs are appended, so what is left of the cut line must not stand before them.
            path.write_text("".join(f"{whole}\n" for whole in lines[:-1]), encoding="utf-8")
    return found
