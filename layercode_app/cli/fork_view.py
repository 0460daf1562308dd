"""A fork on the console: old and new side by side, and the words that differ."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..conversation.cost import Cost

STYLES = {"same": "", "removed": "red strike", "added": "green"}
NONE = "-"


def show(fork: dict[str, Any]) -> None:
    """Print every pair of turns, then what both sides used."""
    console = Console()
    console.print(Text(f"{fork['agent']}: {fork['conversation_id']} from turn {fork['number']}", style="bold"))
    for pair in fork["turns"]:
        console.print(_table(pair))
    old, new = fork["totals"]["old"], fork["totals"]["new"]
    console.print(Text(f"in all: {_spent(old)} before, {_spent(new)} now", style="dim"))


def _table(pair: dict[str, Any]) -> Table:
    old, new = pair["old"] or {}, pair["new"]
    table = Table(show_lines=True, expand=True)
    table.add_column("", no_wrap=True)
    for name in ("before", "now"):
        table.add_column(name, ratio=1)
    table.add_row("caller", Text(old.get("user_text", "")), Text(new["user_text"]))
    table.add_row("agent", _words(pair["diff"], "added"), _words(pair["diff"], "removed"))
    table.add_row("first speech", _ms(old.get("ttfs_ms")), _ms(new["ttfs_ms"]))
    table.add_row("model", str(old.get("model") or NONE), str(new["model"] or NONE))
    table.add_row("used", _spent(old), _spent(new))
    if old.get("tools") or new["tools"]:
        table.add_row("tools", _tools(old.get("tools", [])), _tools(new["tools"]))
    return table


def _words(diff: list[dict[str, str]], without: str) -> Text:
    return Text.assemble(*((run["text"], STYLES[run["kind"]]) for run in diff if run["kind"] != without))


def _ms(value: float | None) -> str:
    return NONE if value is None else f"{value:.0f} ms"


def _spent(side: dict[str, Any]) -> str:
    tokens = f"{side.get('input_tokens') or 0} + {side.get('output_tokens') or 0} tokens"
    unknown = bool(side.get("cost_is_partial") or side.get("cost") is None)
    return f"{tokens}, cost {Cost(side.get('cost') or 0.0, int(unknown))}"


def _tools(calls: list[dict[str, Any]]) -> Text:
    notes = {"recording": " (recorded)", "nothing": " (not run)", "tool": ""}
    return Text("\n".join(f"{c['name']}({c['args']}) -> {c['result']}{notes[c['answered_by']]}" for c in calls))
