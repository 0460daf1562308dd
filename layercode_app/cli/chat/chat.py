"""`chat`: talk to an agent in the terminal, through real signed HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import Agent, AgentsDir, AsJson, Model, Secret, Verbose


def chat(
    url: Annotated[str | None, typer.Option(help="URL of a running webhook. Without it, a server is started.")] = None,
    agent: Agent = "",
    say: Annotated[list[str] | None, typer.Option("--say", help="Say this and exit. Repeatable.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Continue this conversation.")] = None,
    as_json: AsJson = False,
    secret: Secret = None,
    agents: AgentsDir = None,
    model: Model = None,
    verbose: Verbose = False,
) -> None:
    """Talk to an agent by keyboard. Ctrl-C interrupts its reply; Ctrl-D hangs up."""
    import asyncio

    from .session import ChatOptions, hold

    options = ChatOptions(
        url=url, agent=agent, say=say or [], conversation=conversation, as_json=as_json, secret=secret,
        agents_dir=agents, model=model, verbose=verbose,
    )  # fmt: skip
    raise SystemExit(asyncio.run(hold(options)))
