"""Print an evaluation or its JSON, write its files, compare it with a baseline, and decide whether it passed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...exceptions import ConfigurationError
from ...output.files import write_file
from ...output.terminal import print_json, print_line
from ...reports.figures import counted
from . import eval_page, eval_report
from .baseline import Baseline, regressions
from .chance import pass_hats
from .matrix_report import matrix_rows
from .played import Played
from .reliability import comparisons, counts, reliability


def report(
    played: Sequence[Played],
    skipped: int,
    *,
    baseline: Baseline | None,
    as_json: bool,
    files: Mapping[str, Path | None],
) -> bool:
    """Write the files, print the report, and return whether the evaluation passed.

    With a baseline, the evaluation fails if it is worse than the baseline by more than chance. Without a baseline, the
    evaluation fails if any run failed. In both cases, the evaluation also fails if no run was played, if runs were
    skipped, or if a judge or a caller's model gave no answer.

    Raises ConfigurationError if a file cannot be written. Before that, the other files are written and the report is
    printed.
    """
    rows = eval_report.summary(played)
    unwritten = _write(played, rows, files)
    worse = [] if baseline is None else regressions(rows, baseline)
    whole = not skipped and bool(played) and not any(one.errors for one in played)
    passed = whole and not worse and (baseline is not None or all(one.passed for one in played))
    if as_json:
        told = {
            "ok": passed,
            "summary": rows,
            "worse": worse,
            "skipped": skipped,
            "pass^k": pass_hats(counts(played)),
            "reliability": reliability(played),
            "comparisons": comparisons(played),
            "matrix": matrix_rows(played),
            "runs": [one.to_json() for one in played],
        }
        print_json(told, indent=None)
    else:
        eval_report.show(played, worse)
        _tell_unpriced(sum(one.unpriced for one in played))
        _tell(skipped, passed and not all(one.passed for one in played))
    if unwritten:
        raise ConfigurationError("\n".join(unwritten))
    return passed


def _write(played: Sequence[Played], rows: list[dict[str, object]], files: Mapping[str, Path | None]) -> list[str]:
    """Write the files. Return a message for each file that cannot be written."""
    makers = {
        "junit": lambda: eval_report.junit(played),
        "html": lambda: eval_page.html(played),
        "save": lambda: json.dumps(rows, indent=2),
    }
    unwritten = []
    for name, path in files.items():
        if path is not None:
            try:
                write_file(path, makers[name]())
            except ConfigurationError as error:
                unwritten.append(str(error))
    return unwritten


def _tell_unpriced(requests: int) -> None:
    if requests:
        print_line(
            f"{counted(requests, 'model request')} without a known price: not included in the costs or in --max-cost."
        )


def _tell(skipped: int, excused: bool) -> None:
    if skipped:
        print_line(
            (f"{counted(skipped, 'run')} not played, because --max-cost was spent; --resume plays them.", "bold red")
        )
    if excused:
        print_line("Some runs failed, but the result is not worse than the baseline by more than chance.")
