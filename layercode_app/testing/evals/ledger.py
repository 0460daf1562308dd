"""Save the finished runs of an evaluation to a file, and sum their costs.

An interrupted evaluation can be resumed from this file.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...exceptions import ConfigurationError
from ...journal.cost import dollars
from .played import Play, Played, from_json


class Ledger:
    """A file of finished runs, one JSON line each, and the budget that is left.

    Args:
        path: The file of finished runs; without it nothing is saved.
        settings: Values that affect every run, such as the seed and a hash of the source code. A saved run is reused
            only if they are unchanged.
        resume: Reuse the runs in the file. Otherwise the file is emptied.
        budget: Maximum dollars for all models together, including those of simulated callers and of judges.

    Raises ConfigurationError if the file to resume from cannot be read, or if it is not a file of finished runs.

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
        """The number of runs that were not played, because the budget was spent."""
        self.spent = 0.0
        """The known cost in dollars, including that of reused runs."""
        self._path, self._settings, self._budget = path, settings or {}, budget
        self._known: dict[str, Played] = _read(path) if path and resume else {}
        if path is not None and not resume:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("", encoding="utf-8")
            except OSError:
                # Play even if the folder cannot be written to; the runs are then not saved.
                self._path = None

    def known(self, run: Play) -> Played | None:
        """Return the saved result of a run and add its cost to `spent`; None if the run is not saved."""
        found = self._known.get(self._key(run))
        if found is not None:
            self.spent += found.spent
        return found

    def add(self, run: Play, played: Played) -> None:
        """Save a finished run, and add its cost to `spent`.

        A run whose caller or judge gave no answer is not saved, so that `--resume` plays it again.
        """
        self.spent += played.spent
        if self._path is None or played.errors:
            return
        line = json.dumps({"key": self._key(run), "run": played.to_json(whole=True)})
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError:
            # Play on without saving, as in `__init__`. This line may be incomplete, so no other line may follow it.
            self._path = None

    @property
    def left(self) -> float | None:
        """The dollars that may still be spent; None without a budget."""
        return None if self._budget is None else max(0.0, self._budget - self.spent)

    @property
    def has_budget(self) -> bool:
        """Whether another run may begin."""
        return self._budget is None or self.spent < self._budget

    def skip(self) -> str:
        """Count a run that is not played. Return the reason why it is not played."""
        self.skipped += 1
        return f"not played, because {dollars(self.spent)} of --max-cost {dollars(self._budget or 0)} was spent"

    def _key(self, run: Play) -> str:
        scenario = run.scenario.model_dump(mode="json")
        told = json.dumps(
            [run.agent, scenario, run.model, run.number, [*run.judges.items()], self._settings], sort_keys=True
        )
        return hashlib.sha256(told.encode()).hexdigest()


def _read(path: Path) -> dict[str, Played]:
    """Return the finished runs by key. The last line may be incomplete, if the process was killed while writing it."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        # If the folder cannot be created, the runs are not saved.
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        return {}
    except OSError as error:
        raise ConfigurationError(
            f"--resume: {path}: {error.strerror}; expected a file of runs from an earlier `eval`."
        ) from error
    found = {}
    for number, line in enumerate(lines, 1):
        try:
            told = json.loads(line)
            found[told["key"]] = from_json(told["run"])
        except (ValueError, KeyError, TypeError) as error:
            if number < len(lines):
                raise ConfigurationError(
                    f"--resume: {path}:{number} is not a finished run ({error}); delete the file to begin anew."
                ) from error
            # Remove the incomplete line, because further runs are appended to the file.
            with suppress(OSError):
                path.write_text("".join(f"{whole}\n" for whole in lines[:-1]), encoding="utf-8")
    return found
