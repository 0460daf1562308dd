"""`replay`: replay a recorded call against the current agent, or turn it into a scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import AgentsDir, AsJson, StoreUrl, output_file


def replay(
    recording: Annotated[str, typer.Argument(help="A conversation's id, or a file that `sessions export` wrote.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Call this model. Default: the recorded answers.")
    ] = None,
    run_tools: Annotated[bool, typer.Option(help="Run the tools. Default: return their recorded results.")] = False,
    semantic: Annotated[bool, typer.Option(help="Ignore white space, case and the order of tools and data.")] = False,
    judge: Annotated[str | None, typer.Option(help="Model that decides whether different words mean the same.")] = None,
    promote: Annotated[
        Path | None,
        typer.Option(help="Write a scenario for `eval` instead, without personal data.", callback=output_file),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option(help="With --promote: also replace this personal detail by an invented one. Repeatable."),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="With --promote: do not replace this personal detail. Repeatable.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Use this agent instead of the agent that began the call.")] = None,
    agents: AgentsDir = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Replay a recorded call against the current agent and show the differences.

    Exit with 1 if there are differences, if no turn was replayed, or if an agent of the call cannot be loaded.
    """
    from .session import Replaying, promote_recording, replay_recording

    asked = Replaying(recording, agent, agents, store)
    if promote is not None:
        from .view import show_promoted

        show_promoted(promote, promote_recording(asked, promote, also=remove or (), keep=keep or ()), as_json=as_json)
        return
    if remove or keep:
        raise typer.BadParameter("needs --promote", param_hint="--remove, --keep")
    result = replay_recording(asked, model=model, run_tools=run_tools, semantic=semantic, judge=judge)
    if as_json:
        from ...output.terminal import print_json

        print_json(result.to_json())
    else:
        from .view import show

        show(result)
    raise SystemExit(0 if result.same else 1)
