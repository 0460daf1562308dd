"""`fork`: continue a recorded call from one of its turns, with other words, another prompt or another model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import AgentsDir, AsJson


def fork(
    conversation: Annotated[str, typer.Argument(help="The conversation's id, as `sessions list` shows it.")],
    at: Annotated[str, typer.Option(help="Turn to start from: its id or its number. Turn 1 is the greeting.")],
    model: Annotated[str | None, typer.Option("--model", "-m", help="Use this model.")] = None,
    prompt: Annotated[
        Path | None,
        typer.Option(help="Use the prompt in this file. Instruction functions still run.", exists=True, dir_okay=False),
    ] = None,
    say: Annotated[
        list[str] | None, typer.Option(help="What the caller says instead. Repeatable: one text per turn.")
    ] = None,
    rest: Annotated[bool, typer.Option(help="Continue with the caller's recorded words.")] = False,
    run_tools: Annotated[bool, typer.Option(help="Run the tools. Default: return their recorded results.")] = False,
    agent: Annotated[str | None, typer.Option(help="Use this agent. Default: the one that answered the turn.")] = None,
    agents: AgentsDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how a recorded call would have gone with other words, another prompt or another model.

    The recording is not changed. Tools run only with --run-tools.
    """
    import asyncio

    from ...observability import logs
    from ...output.terminal import print_json
    from ...replay.fork import Changes
    from ...replay.open_fork import fork_recorded
    from ...settings import export_env_file, load_settings

    export_env_file()
    logs.configure(level="WARNING", log_dir="", brief=True)
    text = None if prompt is None else _text(prompt)
    changes = Changes(say=tuple(say or ()), prompt=text, model=model, run_tools=run_tools, rest=rest)
    turn = int(at) if at.isdecimal() else at
    forking = fork_recorded(
        conversation, at=turn, changes=changes, settings=load_settings(), agents_dir=agents, agent=agent
    )
    result = asyncio.run(forking).to_json()
    if as_json:
        print_json(result)
        return
    from .view import show

    show(result)


def _text(prompt: Path) -> str:
    try:
        return prompt.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(
            f"{prompt} is not UTF-8: {error}. Save the file as UTF-8.", param_hint="--prompt"
        ) from None
