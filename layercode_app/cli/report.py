"""`report`: summarize the calls of a period."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson, StoreUrl, output_file


def report(
    since: Annotated[
        str, typer.Option(help="A duration such as 24h or 7d, a date such as 2026-01-31, or `all`.")
    ] = "7d",
    by: Annotated[
        str, typer.Option(help="Group by agent, model, day, month, conversation, tool, stage, version or score.")
    ] = "agent",
    html: Annotated[
        Path | None, typer.Option(help="Write a self-contained page to this file.", callback=output_file)
    ] = None,
    send: Annotated[
        str | None, typer.Option(help="Send the report to a channel of layercode.toml, or to an apprise URL.")
    ] = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Report latency, cost, errors, interruptions, outcomes and scores from the journal."""
    import asyncio

    from ..journal.open import open_journal
    from ..output.files import write_file
    from ..output.terminal import print_json, print_line
    from ..reports.report import GROUPINGS, Report, beginning, make_report
    from ..reports.report_page import as_html
    from ..reports.text import print_report
    from ..settings import load_settings
    from ..watch.channels import send_report

    settings = load_settings({"store": store})
    grouping = next((known for known in GROUPINGS if known == by), None)
    if grouping is None:
        raise typer.BadParameter(f"{by!r}: expected one of {', '.join(GROUPINGS)}.", param_hint="--by")

    async def work() -> Report:
        async with open_journal(settings.store) as journal:
            return await make_report(journal, since=beginning(since), by=grouping)

    made = asyncio.run(work())
    if html is not None:
        write_file(html, as_html(made))
    if send is not None:
        asyncio.run(send_report(settings, send, made))
    if as_json:
        print_json(made.as_json())
    elif html is None and send is None:
        print_report(made)
    else:
        print_line(" and ".join([f"Wrote {html}." if html else "", f"Sent to {send}." if send else ""]).strip(" and"))
