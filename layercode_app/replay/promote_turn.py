"""Save a recorded turn as a scenario for `eval` or as a pytest test. Both repeat the call and check only this turn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from ..exceptions import ConfigurationError
from ..journal.record import TurnRecord
from ..testing.evals.scenario import Expectation, ScenarioFile, Step, dump
from .promote import HEADER, promote
from .promoted_test import as_test
from .recording import Recording
from .replacements import StandIns

Form: TypeAlias = Literal["scenario", "test"]
_WORDS = 5


def scenario_of(turns: Sequence[TurnRecord], turn_id: str) -> ScenarioFile:
    """Return a scenario that repeats the call up to a turn and checks only this turn.

    Raises ConfigurationError if the call has no such turn, or if the turn cannot be answered again.
    """
    place = next((place for place, turn in enumerate(turns) if turn.turn_id == turn_id), None)
    if place is None:
        raise ConfigurationError(f"Turn {turn_id!r} is not in this call; expected the id of one of its turns.")
    recording = Recording(turns[: place + 1])
    chosen = turns[place]
    if chosen not in recording.spoken:
        raise ConfigurationError(f"Turn {turn_id!r} is a {chosen.kind} event; expected a greeting or a message.")
    if why := recording.why_not(chosen):
        raise ConfigurationError(f"Turn {turn_id!r} cannot be saved: {why}.")
    file = promote(recording, StandIns(recording.turns), name="turn")
    *before, last = file.scenarios[0].turns
    file.scenarios[0].turns = [*map(_unchecked, before), last]
    file.scenarios[0].name = slug(last.say or "greeting")
    return file


def _unchecked(step: Step) -> Step:
    """Return the step without its checks, except the check for a hang-up.

    This check is needed, because a scenario fails if the agent hangs up although no check expects it.
    """
    return step.model_copy(update={"expect": Expectation(hangup=step.expect.hangup), "judge": None})


def save_turn(turns: Sequence[TurnRecord], turn_id: str, *, form: Form, project: Path) -> Path:
    """Write a turn as a scenario into the project's `evals`, or as a pytest test into its `tests`.

    Personal details are replaced or cut out. An existing file is never changed. Return the path inside the project.
    Raises ConfigurationError if the turn or the file cannot be written.
    """
    file = scenario_of(turns, turn_id)
    name = f"{file.agent}_{file.scenarios[0].name}"
    text, path = (
        (HEADER + dump(file), f"evals/{name}.yaml") if form == "scenario" else (as_test(file), f"tests/test_{name}.py")
    )
    return write_new(project, Path(path), text)


def write_new(project: Path, path: Path, text: str) -> Path:
    """Write to the first free name: `order.yaml`, `order_2.yaml`, and so on. Return the path inside the project.

    Raises ConfigurationError if the file cannot be written.
    """
    try:
        # Do not use make_folder: it makes git ignore the folder, but scenarios and tests belong in the repository.
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        return _write_first_free(project, path, text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error


def _write_first_free(project: Path, path: Path, text: str) -> Path:
    number = 1
    while True:
        free = path if number == 1 else path.with_stem(f"{path.stem}_{number}")
        try:
            with (project / free).open("x", encoding="utf-8") as out:
                out.write(text)
            return free
        except FileExistsError:
            number += 1


def slug(text: str) -> str:
    """Return the first words of a text as a name for files and functions."""
    return "_".join(re.findall(r"[a-z0-9]+", text.lower())[:_WORDS]) or "turn"
