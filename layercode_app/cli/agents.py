"""`agents`: list the agents, and list the files that failed to import."""

from __future__ import annotations

from .options import AgentsDir, AsJson


def agents(agents_dir: AgentsDir = None, as_json: AsJson = False) -> None:
    """List the agents that can be run, and the files that failed to import."""
    from ..agent.discovery import discover
    from ..output.terminal import print_block, print_json, print_line

    found = discover(agents_dir)
    if as_json:
        known = [{"name": name, "title": a.title, "file": str(found.files[name])} for name, a in found.agents.items()]
        failed = [{"file": str(path), "error": str(error)} for path, error in found.failed.items()]
        print_json({"agents": known, "failed": failed, "warnings": found.warnings, "notes": found.notes})
        return
    width = max(map(len, found.agents), default=0)
    for name, agent in sorted(found.agents.items()):
        print_line(f"{name:<{width}}  {agent.title}")
    for warning in (*found.warnings, *found.notes):
        print_line((warning, "yellow"), err=True)
    for path, error in found.failed.items():
        print_line((f"{path} failed:", "red"), err=True)
        print_block("  ", f"{error.traceback.rstrip()}\n{error.advice}".rstrip(), style="red", err=True)
