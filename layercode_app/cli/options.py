"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Agent = Annotated[str, typer.Option("--agent", "-a", help="Its name, or package.module:attribute.")]
AgentsDir = Annotated[Path | None, typer.Option("--agents", help="Folder of agent files; default ./agents.")]
Model = Annotated[str | None, typer.Option("--model", "-m", help="Beats the agent's own; `offline` plays its script.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Debug: requests, frames, messages, tool calls.")]
EnvFile = Annotated[Path | None, typer.Option("--env-file", help="Instead of .env.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Port = Annotated[int | None, typer.Option("--port", "-p", help="0 takes a free one. Default 8000.")]
Secret = Annotated[str | None, typer.Option("--secret", help="Webhook secret; default LAYERCODE_WEBHOOK_SECRET.")]
StoreUrl = Annotated[str | None, typer.Option("--store", help="The journal; default LAYERCODE_STORE.")]
Tunnel = Annotated[bool, typer.Option("--tunnel", help="Open a tunnel with cloudflared and print the webhook URL.")]
UpdateWebhook = Annotated[
    bool,
    typer.Option(
        "--update-webhook",
        "--unsafe-update-webhook",
        help="Point the agent's webhook at the tunnel until this ends. Asks first.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
