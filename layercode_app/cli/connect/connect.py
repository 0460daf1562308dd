"""`connect`: connect an agent on this machine to the platform, step by step."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import Agent, AgentsDir, Model, Port, Verbose, Yes


def connect(
    agent: Agent = "",
    agent_id: Annotated[str | None, typer.Option(help="Id of the agent at the platform.")] = None,
    create: Annotated[bool, typer.Option("--create", help="Create a new agent at the platform.")] = False,
    template: Annotated[str | None, typer.Option(help="Template id for the new agent.")] = None,
    port: Port = None,
    agents: AgentsDir = None,
    model: Model = None,
    verbose: Verbose = False,
    yes: Yes = False,
    undo: Annotated[bool, typer.Option("--undo", help="Restore .env and the webhook.")] = False,
) -> None:
    """Pick or create an agent, write .env, open the tunnel, set the webhook, and wait for the first call."""
    from .steps import Steps, restore, serve_until_stopped

    if undo:
        restore()
        return
    steps = Steps(yes=yes)
    steps.find_tunnel()
    steps.find_key()
    steps.find_agent(agent_id, create=create, template=template)
    serve_until_stopped(
        agent=agent,
        port=port,
        agents_dir=None if agents is None else str(agents),
        model=model,
        verbose=verbose,
        yes=yes,
    )
