"""`agents`: which agents there are, and which files failed."""

from __future__ import annotations

import typer

from .options import AgentsDir, AsJson


def agents(agents_dir: AgentsDir = None, as_json: AsJson = False) -> None:
    """List the agents that can be run, and the files that failed to import."""
    import json

    from ..agent.discovery import discover

    found = discover(agents_dir)
    if as_json:
        known = [{"name": name, "title": a.title, "file": str(found.files[name])} for name, a in found.agents.items()]
        failed = [{"file": str(path), "error": str(error)} for path, error in found.failed.items()]
        told = {"agents": known, "failed": failed, "warnings": found.warnings, "notes": found.notes}
        typer.echo(json.dumps(told, indent=2))
        return
    width = max(map(len, found.agents), default=0)
    for name, agent in sorted(found.agents.items()):
        typer.echo(f"{name:<{width}}  {agent.title}")
    for warning in (*found.warnings, *found.notes):
        typer.secho(warning, fg=typer.colors.YELLOW, err=True)
    for path, error in found.failed.items():
        typer.secho(f"{path} failed:\n{error.traceback}", fg=typer.colors.RED, err=True)
