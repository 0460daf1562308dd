"""`eval judge-check`: measure how well judges agree with people."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import typer

from ...output.tables import plain_table
from ...output.terminal import print_json, print_table

OWN = ("files", "judge", "concurrency", "as_json")
"""The parameters of `eval` that `judge-check` uses."""


def refuse_other_options(context: typer.Context) -> None:
    """Raise BadParameter if the user gave an option of `eval` that `judge-check` does not use."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name not in OWN and source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                "`judge-check` does not use this option; it uses only --judge, --concurrency and --json",
                param_hint=parameter.opts[0],
            )


def judge_check(files: Sequence[Path], judge: str | None, *, concurrency: int, as_json: bool) -> None:
    """Print for each judge how often it agrees with the labels in the files, and Cohen's kappa.

    The JSON output also lists the labels.
    """
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
