"""`eval judge-check`: measure how well judges agree with people."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import typer

from ...output.tables import plain_table
from ...output.terminal import print_json, print_table


def judge_check(files: Sequence[Path], judge: str | None, *, concurrency: int, as_json: bool) -> None:
    """Print each judge's agreement and Cohen's kappa with the labels in files. The JSON output lists the labels too."""
    from ...agent.live_judges import named_judge
    from ...judging.agreement import agreement, answered, read_labels
    from ...settings import export_env_file

    if not files:
        raise typer.BadParameter("give at least one JSON Lines file with labels", param_hint="LABELS")
    export_env_file()
    labels = [label for path in files for label in read_labels(path)]
    found = asyncio.run(answered(labels, None if judge is None else named_judge(judge), concurrency))
    rows = agreement(found)
    if as_json:
        print_json({"judges": rows, "labels": [label.model_dump() for label in found]}, indent=None)
        return
    cells = [
        [
            row["judge"],
            str(row["labels"]),
            f"{row['agreement']:.0%}",
            "-" if row["kappa"] is None else f"{row['kappa']:.2f}",
        ]
        for row in rows
    ]
    print_table(plain_table(["judge", "labels", "agreement", "kappa"], cells))
