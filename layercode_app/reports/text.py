"""Format a report as text for a terminal, an e-mail or a chat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..journal.cost import Cost, dollars
from ..output.tables import as_lines, column, titled_table
from ..output.terminal import print_block, print_line, print_table
from ..output.visible import shortened
from .figures import counted
from .report import Report
from .tables import Rows, all_tables
from .tally import Tally

if TYPE_CHECKING:
    from ..output.tables import Table

LEGEND = (
    "ttfs: from the request to the first speech; ttft: to the model's first token; total: to the end of the answer. "
    "first: a conversation's first answer; cut: interrupted by the caller."
)
LONGEST_NAME = 80
"""Maximum characters of a row's name, which may come from a caller. `--json` has the whole name."""


def print_report(report: Report) -> None:
    """Print the whole report."""
    print_line((title(report), "bold"))
    for part in _parts(report):
        if isinstance(part, str):
            print_block("", part, one_line=True)
        else:
            print_table(part)


def as_text(report: Report) -> str:
    """Return the report as plain text of 100 columns."""
    return as_lines([title(report), *_parts(report)], width=100)


def _parts(report: Report) -> Iterator[str | Table]:
    """Yield the lines and tables below the title."""
    if not report.total.turns:
        yield "There are no turns in this period."
    else:
        yield from summary(report.total)
        yield from map(_printed, all_tables(report))
        yield LEGEND
        for found in report.opportunities:
            yield f"* {found.kind}: {found.where}. {found.measured}. {found.advice}"
    yield from forgotten(report)


def title(report: Report) -> str:
    """Return the period of the report in one line."""
    since = datetime.fromtimestamp(report.since, UTC).strftime("%Y-%m-%d %H:%M") if report.since else "the beginning"
    return f"Calls from {since} to {datetime.fromtimestamp(report.until, UTC):%Y-%m-%d %H:%M} UTC"


def summary(total: Tally) -> Iterator[str]:
    """Yield a few sentences about all turns of a report. `total` is their tally."""
    yield (
        f"{counted(total.turns, 'turn')} in {counted(len(total.conversations), 'conversation')}; {total.interrupted:,} interrupted, "
        f"{total.failed:,} failed ({total.error_rate:.1%}), {total.refused:,} refused by a budget."
    )
    tokens = total.tokens
    yield (
        f"{tokens['input_tokens']:,} tokens in ({tokens['cache_read_tokens']:,} from a cache), "
        f"{tokens['output_tokens']:,} out; cost {total.cost}{_unknown(total.cost)}."
    )
    if total.errors:
        yield "Errors: " + _counts(total.errors.items()) + "; the caller got " + (_counts(total.impacts.items()) or "-")
    if total.retried and total.recovery_rate is not None:
        yield f"Retries saved {total.recovered} of {total.recovered + total.failed} turns with an error ({total.recovery_rate:.0%})."
    if total.hedges.sent:
        yield str(total.hedges)


def _unknown(cost: Cost) -> str:
    return f" ({cost.unknown} requests without a known price or token count)" if cost.unknown else ""


def forgotten(report: Report) -> Iterator[str]:
    """Yield a sentence about the usage of turns that were deleted, if there are any."""
    if report.forgotten:
        turns = counted(round(sum(day.get("turns", 0) for day in report.forgotten.values())), "turn")
        cost = sum(day.get("cost", 0) for day in report.forgotten.values())
        yield f"Deleted turns: {turns} on {counted(len(report.forgotten), 'day')}, at a cost of {dollars(cost)}."


def _counts(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} x{count}" for name, count in counts)


def _printed(rows: Rows) -> Table:
    columns = [
        column(
            head,
            justify="right" if number else "left",
            no_wrap=bool(number),
            overflow="fold",
            min_width=0 if number else 10,
        )
        for number, head in enumerate(rows.heads)
    ]
    return titled_table(rows.title, columns, [[shortened(row[0], LONGEST_NAME), *row[1:]] for row in rows.rows])
