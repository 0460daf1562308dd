"""`journal`: show, copy, export and check the store that holds every turn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..options import AsJson, StoreUrl, output_in_new_folder

app = typer.Typer(help="Show, copy, export and check the journal.", no_args_is_help=True)


@app.command()
def info(store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Show the store and its size."""
    from .view import print_info

    print_info(store, as_json=as_json)


@app.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="URL of the journal to read.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="URL of the journal to write.")],
    as_json: AsJson = False,
) -> None:
    """Copy a journal into another store, and compare the copy. Run it again if it was interrupted."""
    from .view import copy_and_print

    copy_and_print(source, target, as_json=as_json)


@app.command()
def export(
    since: Annotated[
        str, typer.Option(help="A duration such as 24h or 7d, a date such as 2026-01-31, or `all`.")
    ] = "7d",
    format_: Annotated[Literal["jsonl", "parquet"], typer.Option("--format", help="File format.")] = "jsonl",
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="File to write; - for stdout.", show_default=False, callback=output_in_new_folder
        ),
    ] = Path("-"),
    unredacted: Annotated[bool, typer.Option(help="Do not mask personal details and secrets.")] = False,
    store: StoreUrl = None,
) -> None:
    """Write the turns of a period, one row per turn, with personal details masked."""
    from .view import export_turns

    export_turns(store, since, format_, output, redacted=not unredacted)


@app.command()
def check(
    fix: Annotated[bool, typer.Option(help="Mark as failed the turns whose worker died.")] = False,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Find turns that cannot be read or whose worker died, and overdue jobs. Exit code 1 if any are left."""
    from .view import check_and_print

    check_and_print(store, fix=fix, as_json=as_json)
