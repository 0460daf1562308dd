"""`update`: update a project's files to the current templates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import AsJson, Yes


def update(
    folder: Annotated[Path, typer.Argument(help="Folder of the project.")] = Path(),
    extras: Annotated[
        list[str] | None,
        typer.Option("--with", help="Extras to add, comma-separated: web, docker, k8s, github, redis, postgres."),
    ] = None,
    vendor: Annotated[
        bool | None,
        typer.Option("--vendor/--no-vendor", help="Put the wheel of layercode-app into the project, or remove it."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes without making them.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if the project is out of date.")
    ] = False,
    as_json: AsJson = False,
    yes: Yes = False,
) -> None:
    """Update a project that an earlier release created, and keep your changes.

    Files that you did not change are replaced. Files that you changed are merged with git. A file that cannot be
    merged stays as it is, the new version is written as NAME.new, and the exit code is 1. A wheel of layercode-app
    in vendor/ is replaced by the wheel of the installed version.
    """
    from . import session

    given = session.Given(folder, extras, vendor=vendor, dry_run=dry_run or check, as_json=as_json, yes=yes)
    steps = session.make(given)
    if any(step.action != "keep" for step in steps) if check else any(step.action == "beside" for step in steps):
        raise typer.Exit(1)
