"""How `doctor` prints what it found. Imported when it runs."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..doctor.examine import Examination
from ..doctor.finding import State

MARKS = {
    State.OK: ("ok  ", "green"),
    State.WARNING: ("warn", "yellow"),
    State.FAILED: ("FAIL", "bold red"),
    State.SKIPPED: ("skip", "dim"),
}


def print_json(found: Examination) -> None:
    """Everything, for programs."""
    report = {
        "ok": found.healthy,
        "checks": [asdict(finding) for finding in found.findings],
        "settings": found.settings,
    }
    Console(soft_wrap=True).print_json(json.dumps(report))


def print_report(found: Examination, *, settings: bool) -> None:
    """One line for each finding, and below it how to mend it."""
    console = Console(highlight=False, soft_wrap=True)
    for finding in found.findings:
        mark, style = MARKS[finding.state]
        console.print(Text.assemble((mark, style), f"  {finding.name}: {finding.detail}"))
        if finding.mend and finding.state is not State.OK:
            console.print(Text(f"      -> {finding.mend}", style="cyan"))
    rows = found.settings if settings else [row for row in found.settings if row["source"] != "default"]
    if rows:
        table = Table("setting", "value", "from")
        for row in rows:
            table.add_row(*(Text(row[key]) for key in ("name", "value", "source")))
        console.print(table)


def print_alerts(sent: dict[str, str | None], *, as_json: bool) -> int:
    """What became of the test messages, by channel; the exit code."""
    if as_json:
        Console(soft_wrap=True).print_json(json.dumps(sent))
    else:
        console = Console(highlight=False)
        for name, reason in sent.items():
            console.print(f"{name}: {reason or 'took the test message'}", markup=False)
        if not sent:
            console.print("No channels. Name some in layercode.toml, under [channels].", markup=False)
    return 1 if any(sent.values()) else 0
