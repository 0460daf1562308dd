"""`send`: sign one event and send it to a webhook."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import AsJson, Secret, Url, UrlOption


def send(
    url: Url = None,
    kind: Annotated[
        str, typer.Option("--type", "-t", help="Event type, such as message, data or session.end.")
    ] = "message",
    data: Annotated[
        str,
        typer.Option("--data", "-d", help='Event fields as JSON: {"text": "hello", "conversation_id": "c1"}'),
    ] = "{}",
    url_option: UrlOption = None,
    secret: Secret = None,
    as_json: AsJson = False,
) -> None:
    """Sign one event, send it, and print the answer with timings."""
    import asyncio

    from ..emulator.one_event import build_event, deliver
    from ..output.terminal import print_line
    from .webhook import required_url, webhook_secret

    event = build_event(kind, data)
    sending = deliver(required_url(url, url_option), webhook_secret(secret), event, as_json=as_json, show=print_line)
    raise SystemExit(asyncio.run(sending))
