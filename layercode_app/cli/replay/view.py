"""A replay on the console: a table of the turns and what differs in each, and what was compared."""

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
"""Characters of a value in the table; `--json` has all of it."""


def show(replay: Replay) -> None:
    """Print what differs, turn by turn, and what was compared."""
    print_line((f"{replay.agent}: {replay.conversation_id}", "bold"))
    rows = [row for turn in replay.turns for row in _rows(turn)]
    print_table(plain_table(("turn", "caller", "what", "recorded", "came"), rows))
    for line in _notes(replay):
        print_line((line, "dim"))
    different = sum(bool(turn.differences) for turn in replay.turns)
    told = f"{different} of {len(replay.turns)} turns differ." if different else "No difference."
    print_line((told, "bold red" if different else "green"))


def _rows(turn: ReplayedTurn) -> Iterator[list[Cell]]:
    place: list[Cell] = [str(turn.number), shortened(turn.old.user_text or "(the call begins)", LONGEST)]
    if turn.new is None:
        yield [*place, ("not replayed", "yellow"), (turn.note, "yellow"), ""]
    elif not turn.differences:
        judged = f"same, the judge says {turn.verdict['answer']}: {turn.verdict['reason']}" if turn.verdict else "same"
        yield [*place, (judged, "green"), "", ""]
    for difference in turn.differences:
        yield [*place, (difference.what, "red"), _text(difference.recorded), (_text(difference.came), "red")]
        place = ["", ""]


def _text(value: Any) -> str:
    if value is None:
        return "(nothing)"
    return shortened(value if isinstance(value, str) else json_text(value), LONGEST)


def _notes(replay: Replay) -> list[str]:
    """What was compared, and what was not."""
    options = replay.options
    how, words = "strictly", "words"
    if options.judge is not None:
        words = "words by the judge"
    if options.semantic or options.judge is not None:
        how = "without white space, case, and the order of tools and data"
    prompts = ", prompts" if options.model is None else ""
    lines = [f"Compared {how}: {words}, tools, data{prompts}. Model: {options.model or 'as recorded'}."]
    for note in dict.fromkeys(turn.note for turn in replay.turns if turn.note and turn.new is not None):
        numbers = ", ".join(str(turn.number) for turn in replay.turns if turn.note == note)
        lines.append(f"Not compared in turn {numbers}: {note}.")
    if replay.masked:
        lines.append("The file is masked, which may make prompts and tools differ; export with --unredacted.")
    if replay.today is not None and [replay.today] != replay.versions:
        lines.append(
            f"The agent has changed: its version is {replay.today}, recorded was {', '.join(replay.versions)}."
        )
    return lines


def show_promoted(path: Path, replaced: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Say where the scenario is, and list what was replaced."""
    if as_json:
        print_json({"file": str(path), "replaced": list(replaced)})
        return
    print_line((f"Wrote {path}. Read it before you share it: a name that was only said may be left.", "bold"))
    if not replaced:
        print_line(("Nothing personal was found.", "dim"))
        return
    rows: list[list[Cell]] = [
        [one["kind"], one["original"], one["by"] or "(left out)", str(one["times"])] for one in replaced
    ]
    print_table(plain_table(("what", "began with", "is now", "times"), rows))
