"""`chat`: talk to an agent in the terminal, through real signed HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import Agent, AgentsDir, AsJson, Model, Secret, Url, UrlOption, Verbose


def chat(
    url: Url = None,
    url_option: UrlOption = None,
    agent: Agent = "",
    say: Annotated[
        list[str] | None,
        typer.Option("--say", help="Say this and exit, without greeting and session events. Repeatable."),
    ] = None,
    conversation: Annotated[str | None, typer.Option(help="Continue this conversation.")] = None,
    as_json: AsJson = False,
    secret: Secret = None,
    agents: AgentsDir = None,
    model: Model = None,
    verbose: Verbose = False,
) -> None:
    """Talk to an agent by keyboard: an agent of this project, or the agent behind a URL.

    Ctrl-C interrupts a reply. At the prompt, Ctrl-C and Ctrl-D hang up. Lines from a pipe are said one by one.
    """
    import asyncio

    from ..webhook import url_of
    from .session import ChatOptions, hold

    options = ChatOptions(
        url=url_of(url, url_option, agent=agent), agent=agent, say=say or [], conversation=conversation,
        as_json=as_json, secret=secret, agents_dir=agents, model=model, verbose=verbose,
    )  # fmt: skip
    raise SystemExit(asyncio.run(hold(options)))
