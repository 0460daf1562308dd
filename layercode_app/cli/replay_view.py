"""A replay on the console: a table of the turns and what differs in each, and what was compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from ..testing.replay.play import Replay, ReplayedTurn

LONGEST = 400
"""Characters of a value in the table; `--json` has all of it."""


def show(replay: Replay) -> None:
    """Print what differs, turn by turn, and what was compared."""
    console = Console(highlight=False)
    console.print(Text(f"{replay.agent}: {replay.conversation_id}", "bold"))
    table = Table("turn", "caller", "what", "recorded", "came", box=None, pad_edge=False)
    for turn in replay.turns:
        for row in _rows(turn):
            table.add_row(*row)
    console.print(table)
    for line in _notes(replay):
        console.print(Text(line, "dim"))
    different = sum(bool(turn.differences) for turn in replay.turns)
    told = f"{different} of {len(replay.turns)} turns differ." if different else "No difference."
    console.print(Text(told, "bold red" if different else "green"))


def _rows(turn: ReplayedTurn) -> list[list[Text]]:
    place = [Text(str(turn.number)), Text(turn.old.user_text or "(the call begins)")]
    if turn.new is None:
        return [[*place, Text("not replayed", "yellow"), Text(turn.note, "yellow"), Text()]]
    if not turn.differences:
        judged = f"same, the judge says {turn.verdict['answer']}: {turn.verdict['reason']}" if turn.verdict else "same"
        return [[*place, Text(judged, "green"), Text(), Text()]]
    rows = []
    for difference in turn.differences:
        values = Text(_text(difference.recorded)), Text(_text(difference.came), "red")
        rows.append([*place, Text(difference.what, "red"), *values])
        place = [Text(), Text()]
    return rows


def _text(value: Any) -> str:
    if value is None:
        return "(nothing)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


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
        typer.echo(json.dumps({"file": str(path), "replaced": list(replaced)}, ensure_ascii=False, indent=2))
        return
    console = Console(highlight=False)
    console.print(Text(f"Wrote {path}. Read it before you share it: a name that was only said may be left.", "bold"))
    table = Table("what", "began with", "is now", "times", box=None, pad_edge=False)
    for one in replaced:
        table.add_row(one["kind"], Text(one["original"]), Text(one["by"] or "(left out)"), str(one["times"]))
    console.print(table if replaced else Text("Nothing personal was found.", "dim"))
