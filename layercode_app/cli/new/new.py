"""`new`: create a project."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import AsJson


def new(
    name: Annotated[
        str | None, typer.Argument(help="Folder to create, and the project's name. Use . for this folder.")
    ] = None,
    agent: Annotated[str | None, typer.Option("--agent", "-a", help="Gallery agent to start from.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="PROVIDER:NAME, such as openai:gpt-5-mini.")
    ] = None,
    extras: Annotated[
        list[str] | None,
        typer.Option("--with", help="Extras to add, comma-separated: web, docker, k8s, github, redis, postgres."),
    ] = None,
    vendor: Annotated[
        bool | None,
        typer.Option(
            "--vendor/--no-vendor",
            help="Put the wheel of layercode-app into the project. Default: only if the package index lacks it.",
        ),
    ] = None,
    git: Annotated[
        bool | None,
        typer.Option(
            "--git/--no-git",
            help="Run git init, unless the folder is in a repository. Default: --git if git is installed.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the files without writing them.")] = False,
    as_json: AsJson = False,
    list_options: Annotated[
        bool, typer.Option("--list-options", help="List the agents, extras and model providers.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask; use the default of each option that is not given.")
    ] = False,
) -> None:
    """Create a project: an agent, its tests, and a Makefile to run and test it."""
    from . import session

    if list_options:
        session.show_options(as_json=as_json)
        return
    given = session.Given(name, agent, model, extras, vendor=vendor, git=git, dry_run=dry_run, as_json=as_json, yes=yes)
    session.make(given)
