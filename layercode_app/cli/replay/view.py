"""Print a replay: a table of the turns with their differences, and what was compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...output.tables import Cell, plain_table
from ...output.terminal import print_json, print_line, print_table
from ...output.visible import json_text, shortened

if TYPE_CHECKING:
    from ...replay.replay import Replay, ReplayedTurn

LONGEST = 400
"""Maximum characters of a value in the table; `--json` has the whole value."""


def show(replay: Replay) -> None:
    """Print the differences of each turn, and what was compared."""
    print_line((f"{replay.agent}: {replay.conversation_id}", "bold"))
    rows = [row for turn in replay.turns for row in _rows(turn)]
    print_table(plain_table(("turn", "caller", "what", "recorded", "replayed"), rows))
    for line in _notes(replay):
        print_line((line, "dim"))
    for name, why in replay.missing.items():
        print_line((f"Agent {name!r} of the call is not loaded: {why}", "bold red"))
    print_line((_verdict(replay), "green" if replay.same else "bold red"))


def _verdict(replay: Replay) -> str:
    if not any(turn.new for turn in replay.turns):
        return "No turn was replayed."
    different = sum(bool(turn.differences) for turn in replay.turns)
    if different:
        return f"{different} of {len(replay.turns)} turns differ."
    return "No difference in the turns that were replayed." if replay.missing else "No difference."


def _rows(turn: ReplayedTurn) -> Iterator[list[Cell]]:
    place: list[Cell] = [str(turn.number), shortened(turn.old.user_text or "(the call begins)", LONGEST)]
    if turn.new is None:
        yield [*place, ("not replayed", "yellow"), (turn.note, "yellow"), ""]
    elif not turn.differences:
        judged = (
            f"same, says the judge ({turn.verdict['answer']}): {turn.verdict['reason']}" if turn.verdict else "same"
        )
        yield [*place, (judged, "green"), "", ""]
    for difference in turn.differences:
        yield [*place, (difference.what, "red"), _text(difference.recorded), (_text(difference.came), "red")]
        place = ["", ""]


def _text(value: Any) -> str:
    if value is None:
        return "(nothing)"
    return shortened(value if isinstance(value, str) else json_text(value), LONGEST)


def _notes(replay: Replay) -> list[str]:
    """Return lines that say what was compared and what was not."""
    options = replay.options
    how, words = "strictly", "words"
    if options.judge is not None:
        words = "words (by the judge)"
    if options.semantic or options.judge is not None:
        how = "ignoring white space, case, and the order of tools and data"
    prompts = ", prompts" if options.model is None else ""
    lines = [f"Compared {how}: {words}, tools, data{prompts}. Model: {options.model or 'as recorded'}."]
    for note in dict.fromkeys(turn.note for turn in replay.turns if turn.note and turn.new is not None):
        numbers = ", ".join(str(turn.number) for turn in replay.turns if turn.note == note)
        lines.append(f"Not compared in turn {numbers}: {note}.")
    if replay.masked:
        lines.append(
            "The file is masked, so the replayed prompts and tools may differ from the recorded ones. To avoid that, "
            "export the call again with --unredacted."
        )
    for name, versions in replay.versions.items():
        if versions.changed:
            who = "The agent" if name == replay.began else f"Agent {name}"
            recorded = ", ".join(versions.recorded)
            lines.append(f"{who} has changed: recorded with version {recorded}, now version {versions.today}.")
    return lines


def show_promoted(path: Path, replaced: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Print the path of the scenario and the replacements made in it."""
    if as_json:
        print_json({"file": str(path), "replaced": list(replaced)})
        return
    print_line((f"Wrote {path}. Read it before you share it: some names may remain in what was said.", "bold"))
    if not replaced:
        print_line(("No personal details were found.", "dim"))
        return
    rows: list[list[Cell]] = [
        [one["kind"], one["original"], one["by"] or "(left out)", str(one["times"])] for one in replaced
    ]
    print_table(plain_table(("what", "original", "replacement", "count"), rows))
