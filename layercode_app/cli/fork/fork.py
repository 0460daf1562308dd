"""`fork`: continue a recorded call from one of its turns, with other words, another prompt or another model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import AgentsDir, AsJson


def fork(
    conversation: Annotated[str, typer.Argument(help="The conversation's id, as `sessions list` shows it.")],
    at: Annotated[str, typer.Option(help="The turn: its id, or its number from 1, greeting included.")],
    model: Annotated[str | None, typer.Option("--model", "-m", help="Use this model.")] = None,
    prompt: Annotated[
        Path | None,
        typer.Option(help="Use the prompt in this file. Instruction functions stay.", exists=True, dir_okay=False),
    ] = None,
    say: Annotated[
        list[str] | None, typer.Option(help="What the caller says instead. Repeat it for the next turns.")
    ] = None,
    rest: Annotated[bool, typer.Option(help="Continue with what the caller said next.")] = False,
    run_tools: Annotated[bool, typer.Option(help="Run the tools. Default: they return what was recorded.")] = False,
    agent: Annotated[str | None, typer.Option(help="Use this agent. Default: the one that answered.")] = None,
    agents: AgentsDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how a recorded call would have gone. The recording is not changed, and no tool runs unless you say so."""
    import asyncio

    from ...observability import logs
    from ...output.terminal import print_json
    from ...replay.fork import Changes
    from ...replay.open_fork import fork_recorded
    from ...settings import export_env_file, load_settings

    export_env_file()
    logs.configure(level="WARNING", log_dir="", brief=True)
    text = None if prompt is None else prompt.read_text(encoding="utf-8")
    changes = Changes(say=tuple(say or ()), prompt=text, model=model, run_tools=run_tools, rest=rest)
    turn = int(at) if at.isdigit() else at
    forking = fork_recorded(
        conversation, at=turn, changes=changes, settings=load_settings(), agents_dir=agents, agent=agent
    )
    result = asyncio.run(forking).to_json()
    if as_json:
        print_json(result)
        return
    from .view import show

    show(result)
