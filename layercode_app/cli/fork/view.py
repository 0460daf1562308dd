"""Print a fork: the old and the new turns side by side, with the differing words highlighted."""

from __future__ import annotations

from typing import Any

from ...journal.cost import Cost
from ...output.tables import Cell, column, table
from ...output.terminal import Part, print_line, print_table
from ...output.visible import visible

STYLES = {"same": "", "removed": "red strike", "added": "green"}
NONE = "-"


def show(fork: dict[str, Any]) -> None:
    """Print every pair of turns, then the usage of both sides."""
    print_line((f"{fork['agent']}: {fork['conversation_id']} from turn {fork['number']}", "bold"))
    for pair in fork["turns"]:
        _show_pair(pair)
    old, new = fork["totals"]["old"], fork["totals"]["new"]
    print_line((f"total: {_spent(old)} before, {_spent(new)} now", "dim"))


def _show_pair(pair: dict[str, Any]) -> None:
    old, new = pair["old"] or {}, pair["new"]
    rows: list[list[Cell]] = [
        ["caller", old.get("user_text", ""), new["user_text"]],
        ["agent", _words(pair["diff"], "added"), _words(pair["diff"], "removed")],
        ["first speech", _ms(old.get("ttfs_ms")), _ms(new["ttfs_ms"])],
        ["model", str(old.get("model") or NONE), str(new["model"] or NONE)],
        ["used", _spent(old), _spent(new)],
    ]
    if old.get("tools") or new["tools"]:
        rows.append(["tools", _tools(old.get("tools", [])), _tools(new["tools"])])
    if old.get("error") or new.get("error"):
        rows.append(["error", str(old.get("error") or NONE), str(new.get("error") or NONE)])
    columns = [column(no_wrap=True), column("before", ratio=1), column("now", ratio=1)]
    print_table(table(columns, rows, lines=True, expand=True))


def _words(diff: list[dict[str, str]], without: str) -> list[Part]:
    return [(run["text"], STYLES[run["kind"]]) for run in diff if run["kind"] != without]


def _ms(value: float | None) -> str:
    return NONE if value is None else f"{value:.0f} ms"


def _spent(side: dict[str, Any]) -> str:
    tokens = f"{side.get('input_tokens') or 0} + {side.get('output_tokens') or 0} tokens"
    unknown = bool(side.get("cost_is_partial") or side.get("cost") is None)
    return f"{tokens}, cost {Cost(side.get('cost') or 0.0, int(unknown))}"


def _tools(calls: list[dict[str, Any]]) -> str:
    notes = {"recording": " (recorded)", "nothing": " (not run)", "tool": ""}
    lines = (f"{c['name']}({c['args']}) -> {c['result']}{notes[c['answered_by']]}" for c in calls)
    return "\n".join(visible(line) for line in lines)
