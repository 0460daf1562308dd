"""`update`: bring what newer releases make of a project's files to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import AsJson, Yes


def update(
    folder: Annotated[Path, typer.Argument(help="The project.")] = Path(),
    extras: Annotated[
        list[str] | None, typer.Option("--with", help="Add web, docker, k8s, github, redis; comma-separated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Do nothing; exit 1 if there is something to do.")] = False,
    as_json: AsJson = False,
    yes: Yes = False,
) -> None:
    """Update a project that an earlier release made; what you changed in it stays yours.

    Files that are still as they were made are replaced. Yours are merged where git can, and otherwise stay as they are,
    with the new one beside as NAME.new; the exit code is then 1.
    """
    from . import session

    given = session.Given(folder, extras, dry_run=dry_run or check, as_json=as_json, yes=yes)
    steps = session.make(given)
    if any(step.action != "keep" for step in steps) if check else any(step.action == "beside" for step in steps):
        raise typer.Exit(1)
