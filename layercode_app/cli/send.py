"""`send`: sign one event and send it anywhere."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import AsJson, Secret


def send(
    url: Annotated[str, typer.Argument(help="The webhook.")],
    kind: Annotated[str, typer.Option("--type", "-t", help="Such as message, data or session.end.")] = "message",
    data: Annotated[
        str,
        typer.Option("--data", "-d", help='Fields of the event, as JSON: {"text": "hello", "conversation_id": "c1"}'),
    ] = "{}",
    secret: Secret = None,
    as_json: AsJson = False,
) -> None:
    """Sign one event, send it, and print what comes back with its times."""
    import asyncio

    from ..emulator.one_event import build_event, deliver
    from ..output.terminal import print_line
    from .chat.session import webhook_secret

    event = build_event(kind, data)
    raise SystemExit(asyncio.run(deliver(url, webhook_secret(secret), event, as_json=as_json, show=print_line)))
