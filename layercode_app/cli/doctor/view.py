"""Print the findings of `doctor`."""

from __future__ import annotations

from dataclasses import asdict

from ...doctor.examine import Examination
from ...doctor.finding import State
from ...output.tables import table
from ...output.terminal import print_block, print_line, print_table
from ...output.terminal import print_json as terminal_json

MARKS = {
    State.OK: ("ok  ", "green"),
    State.WARNING: ("warn", "yellow"),
    State.FAILED: ("FAIL", "bold red"),
    State.SKIPPED: ("skip", "dim"),
}


def print_json(found: Examination) -> None:
    """Print every finding and setting as JSON."""
    report = {
        "ok": found.healthy,
        "checks": [asdict(finding) for finding in found.findings],
        "settings": found.settings,
    }
    terminal_json(report)


def print_report(found: Examination, *, settings: bool) -> None:
    """Print the findings, with a fix for each problem. Then print the settings.

    Settings with their default value are printed only with `settings`.
    """
    for finding in found.findings:
        mark, style = MARKS[finding.state]
        print_line((mark, style), f"  {finding.name}: {finding.detail}")
        if finding.fix and finding.state is not State.OK:
            print_block("      -> ", finding.fix, style="cyan")
    rows = found.settings if settings else [row for row in found.settings if row["source"] != "default"]
    if rows:
        print_table(table(("setting", "value", "from"), ([row["name"], row["value"], row["source"]] for row in rows)))


def print_alerts(sent: dict[str, str | None], *, as_json: bool) -> int:
    """Print the result of each channel's test message and return the exit code."""
    if as_json:
        terminal_json(sent)
    else:
        for name, reason in sent.items():
            print_line(f"{name}: {reason or 'test message sent'}")
        if not sent:
            print_line("No alert channels. Add one to layercode.toml, under [channels].")
    return 1 if any(sent.values()) else 0
