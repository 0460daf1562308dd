"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Agent = Annotated[
    str,
    typer.Option(
        "--agent",
        "-a",
        help="Its name, or package.module:attribute. Default: the only one in ./agents; starter if there is none.",
        show_default=False,
    ),
]
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
Fault = Annotated[
    str,
    typer.Option("--fault", help="What goes wrong: duplicate, drop, latency=MS, interrupt=MS, status=CODE; by commas."),
]
SessionTimeout = Annotated[
    float | None, typer.Option(min=0.1, help="End a call after so many seconds in which nobody spoke.")
]
VoiceName = Annotated[
    Literal["espeak", "silence"] | None,
    typer.Option("--voice", help="Default espeak where espeak-ng is installed, else silence as long as the words."),
]
Stt = Annotated[
    str | None,
    typer.Option(
        "--stt",
        help="Speech recognition: URL of an OpenAI-compatible /audio/transcriptions, or a program that reads a WAV on "
        "stdin or as the file {wav}. Default LAYERCODE_STT.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
