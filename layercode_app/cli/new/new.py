"""`new`: make a project."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import AsJson


def new(
    name: Annotated[str | None, typer.Argument(help="Folder to make, whose name is the project's; . is here.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", "-a", help="Gallery agent to begin with.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="PROVIDER:NAME, such as openai:gpt-5-mini.")
    ] = None,
    extras: Annotated[
        list[str] | None, typer.Option("--with", help="web, docker, k8s, github, redis; comma-separated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")] = False,
    as_json: AsJson = False,
    list_options: Annotated[bool, typer.Option("--list-options", help="What there is to choose from.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; defaults for what is not given.")] = False,
) -> None:
    """Make a project of your own: an agent, its tests, and the two commands to run and test it."""
    from . import session

    if list_options:
        session.show_options(as_json=as_json)
        return
    given = session.Given(name, agent, model, extras, dry_run=dry_run, as_json=as_json, yes=yes)
    session.make(given)
