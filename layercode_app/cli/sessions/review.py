"""Review calls: list the calls worth a look, take a verdict with one key, and write a scenario from a bad call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...exceptions import ConfigurationError, NotRecordedError
from ...journal.read import turns_of
from ...journal.record import Json, TurnRecord
from ...journal.review import save_review
from ...output.files import write_file
from ...output.terminal import ask, print_block, print_json, print_line, read_key
from ...output.visible import shortened
from ...reports.conversations import moment
from ...reports.figures import counted
from ...reports.review_queue import CallSeen, review_queue
from ..replay.view import show_promoted
from .view import LONGEST_ID, print_conversation, with_journal

KEYS = "[g]ood  [b]ad  [n]ote  [s]cenario  s[k]ip  [q]uit"


@dataclass(frozen=True)
class ScenarioOptions:
    """The options of `--scenario`. The model `goal_model` guesses the caller's goal if `goal` is empty."""

    path: Path | None = None
    goal: str = ""
    goal_model: str | None = None
    outcomes: Sequence[str] = ()


def print_queue(store: str | None, *, since: float, limit: int, reviewed: bool, as_json: bool) -> list[CallSeen]:
    """Print the calls worth a look, and return them."""
    found = with_journal(store, lambda journal: review_queue(journal, since=since, limit=limit, reviewed=reviewed))
    if as_json:
        print_json([call.to_json() for call in found])
        return found
    for call in found:
        when = (moment(call.started_at) or "")[:16].replace("T", " ")
        print_line(
            f"{shortened(call.conversation_id, LONGEST_ID)}  {when}  {counted(call.turns, 'turn')}  {call.agent}"
        )
        for reason in call.reasons:
            print_block("    ", reason, style="yellow", one_line=True)
    if not found:
        print_line("No calls to review.")
    return found


def decide(
    store: str | None,
    conversation: str,
    *,
    good: bool | None = None,
    note: str = "",
    scenario: ScenarioOptions,
    as_json: bool = False,
) -> None:
    """Save the verdict on a call if `good` is not None. Write the call as a scenario if `scenario.path` is set."""
    done: Json = {}
    if good is not None:
        turn = with_journal(store, lambda journal: save_review(journal, conversation, good=good, note=note))
        done |= {"conversation_id": turn.conversation_id, "turn_id": turn.turn_id, "good": good, "note": note or None}
        if not as_json:
            print_line(f"{shortened(turn.conversation_id, LONGEST_ID)}: {'good' if good else 'bad'}")
    if scenario.path is not None:
        replaced = write_scenario(store, conversation, scenario)
        done |= {"file": str(scenario.path), "replaced": replaced}
        if not as_json:
            show_promoted(scenario.path, replaced, as_json=False)
    if as_json:
        print_json(done)


def walk(store: str | None, found: Sequence[CallSeen]) -> None:
    """Show one call after the other, and take a verdict on each with one key."""
    for place, call in enumerate(found, 1):
        try:
            turns = _turns(store, call.conversation_id)
        except NotRecordedError:
            continue  # It was forgotten since the calls were listed.
        print_line()
        print_line((f"Call {place} of {len(found)}", "bold"))
        for reason in call.reasons:
            print_block("    ", reason, style="yellow", one_line=True)
        print_conversation(turns, as_json=False)
        if not _asked(store, call.conversation_id):
            return


def _turns(store: str | None, conversation: str, *, bodies: bool = False) -> list[TurnRecord]:
    return with_journal(store, lambda journal: turns_of(journal, conversation, bodies=bodies))


def _asked(store: str | None, conversation: str) -> bool:
    """Read keys until the call has a verdict or is skipped. Return False if the user quits."""
    note = ""
    while True:
        print_line((KEYS, "dim"))
        match read_key().lower():
            case "g" | "b" as key:
                if _try(partial(decide, store, conversation, good=key == "g", note=note, scenario=ScenarioOptions())):
                    return True
            case "n":
                note = ask("Note", default="", show_default=False)
            case "s":
                path = Path(ask("File to write", default="evals/reviewed.yaml"))
                scenario = ScenarioOptions(path, ask("What did the caller want"))
                _try(partial(decide, store, conversation, scenario=scenario))
            case "k":
                return True
            case "q" | "\x04" | "":
                return False


def _try(work: Callable[[], None]) -> bool:
    """Call `work` and return True. If it fails, print the reason and return False."""
    try:
        work()
    except (ConfigurationError, NotRecordedError) as error:
        print_block("", str(error), style="red")
        return False
    return True


def write_scenario(store: str | None, conversation: str, options: ScenarioOptions) -> list[dict[str, Any]]:
    """Write a scenario from a call, and return the words that were replaced.

    Raises ConfigurationError if the file exists, the goal is missing, or the file cannot be written.
    """
    from ...replay.replacements import StandIns
    from ...replay.review_scenario import HEADER, review_scenario
    from ...testing.evals.scenario import dump

    path = options.path
    assert path is not None
    if path.exists():
        raise ConfigurationError(f"--scenario {path}: the file exists already. Choose another name, or remove it.")
    turns = _turns(store, conversation, bodies=True)
    stand_ins = StandIns(turns)
    goal = options.goal or _guessed(turns, options.goal_model)
    file = review_scenario(turns, stand_ins, name=path.stem, goal=goal, outcomes=options.outcomes)
    write_file(path, HEADER + dump(file), in_new_folder=True)
    return stand_ins.replaced


def _guessed(turns: Sequence[TurnRecord], model: str | None) -> str:
    if model is None:
        raise ConfigurationError(
            "A scenario needs the caller's goal: --goal 'order two croissants', or --goal-model NAME to have it guessed."
        )
    from ...replay.review_scenario import guessed_goal
    from ...settings import export_env_file

    export_env_file()
    return asyncio.run(guessed_goal(turns, model, "--goal-model"))
