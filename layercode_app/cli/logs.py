"""`logs`: read the JSON log files of every worker."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import AsJson

COLORS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new lines.")] = False,
    conversation: Annotated[str | None, typer.Option("--conversation", "-c", help="Only this conversation.")] = None,
    turn: Annotated[
        str | None, typer.Option("--turn", "-t", help="Only this turn, or the turns whose ids start with this text.")
    ] = None,
    level: Annotated[str, typer.Option("--level", "-l", help="Only this level and above, such as WARNING.")] = "TRACE",
    agent: Annotated[str | None, typer.Option("--agent", "-a", help="Only this agent.")] = None,
    since: Annotated[str | None, typer.Option(help="A duration such as 10m, or a date such as 2026-01-31.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="Number of newest lines.")] = 100,
    log_dir: Annotated[str | None, typer.Option(help="Folder of log files. Default LOG_DIR.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the log lines of every worker, rotated files included, sorted by time."""
    from pathlib import Path

    from ..output.terminal import print_line
    from ..reports.log_lines import Follower, Wanted, newest
    from ..reports.report import beginning
    from ..settings import load_settings

    folder = Path(load_settings({"log_dir": log_dir}).log_dir)
    wanted = Wanted(conversation, turn, agent, level, beginning(since))
    follower = Follower(folder, wanted) if follow else None
    found = newest(folder, wanted, limit=limit)
    for line in found:
        _print(line, as_json)
    if not found and limit:
        nothing = (
            f"No log line in {folder} matches{wanted.described}."
            if wanted.described
            else f"No log lines in {folder} yet."
        )
        print_line(f"{nothing} `run` and `dev` write them.", err=True)
    if follower is not None:
        try:
            for line in follower.lines():
                _print(line, as_json)
        except KeyboardInterrupt:
            return


def _print(line: dict[str, Any], as_json: bool) -> None:
    from ..output.terminal import print_block, print_json

    if as_json:
        print_json(line, indent=None)
        return
    from ..reports.log_text import details

    who = f" [{line.get('agent', '')} {line['turn_id']}]" if line.get("turn_id") else ""
    level = str(line.get("level", ""))
    time = str(line.get("time", ""))[:23].replace("T", " ")
    more = details(line)
    text = (f"{who} {line.get('message', '')}", (f"  {more}" if more else "", "dim"))
    print_block("", (f"{time} {level:<7}", COLORS.get(level, "")), *text)
    if error := line.get("exception"):
        print_block("  ", str(error.get("traceback", error) if isinstance(error, dict) else error), style="red")
