"""`run`: serve an agent in production."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from ..output.terminal import print_from_signal_handler
from .options import Agent, AgentsDir, EnvFile, Model, Port, Tunnel, UpdateWebhook, Verbose, Yes


def run(
    agent: Agent = "",
    examples: Annotated[bool, typer.Option("--examples", help="Serve the shipped agents too.")] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default 0.0.0.0.")] = None,
    port: Port = None,
    agents: AgentsDir = None,
    model: Model = None,
    verbose: Verbose = False,
    agent_route: Annotated[str | None, typer.Option(help="Path of the webhook. Default /api/agent.")] = None,
    authorize_route: Annotated[
        str | None, typer.Option(help="Path of the authorize endpoint. Default /api/authorize.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(help="URL of the journal: sqlite:///PATH, redis://HOST:PORT/DB, postgresql://HOST/DB or memory."),
    ] = None,
    env_file: EnvFile = None,
    workers: Annotated[int, typer.Option(min=1, help="Server processes. Not with --reload.")] = 1,
    reload: Annotated[bool, typer.Option(help="Restart when agent files or settings change.")] = False,
    tunnel: Tunnel = False,
    update_webhook: UpdateWebhook = False,
    yes: Yes = False,
) -> None:
    """Serve an agent. A webhook secret is mandatory."""
    with _sigterm_ends_start():
        from ..server.serve import ServeOptions, serve
        from .tunnel import confirm_tunnel

        options = ServeOptions(
            agent=agent, examples=examples, agents_dir=_text(agents), model=model, verbose=verbose, env_file=_text(env_file),
            workers=workers, reload=reload, tunnel=tunnel, update_webhook=update_webhook,
            settings={"host": host, "port": port, "agent_route": agent_route, "authorize_route": authorize_route,
                      "store": store},
        )  # fmt: skip
        confirm_tunnel(options, options.load(), yes=yes)
        serve(options)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


@contextmanager
def _sigterm_ends_start() -> Iterator[None]:
    """End the process with exit code 0 if SIGTERM arrives before the server has replaced this handler.

    Process 1 of a container needs a handler while it imports the agents: the kernel drops its signals that have none.
    Does nothing outside the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: FrameType | None) -> None:
    # An exception would not always end the process: the import of an agent file catches all exceptions.
    print_from_signal_handler("Ended by SIGTERM.")
    os._exit(0)
