"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..output.files import why_unwritable
from ..output.terminal import reserving_stdout


def output_file(path: Path | None) -> Path | None:
    """Before the command starts, refuse a file that cannot be written, so that no result is lost."""
    return _writable(path, in_new_folder=False)


def output_in_new_folder(path: Path | None) -> Path | None:
    """Before the command starts, refuse a file that cannot be written.

    This check is for commands that create missing folders. The path `-` is not checked, because it means stdout.
    """
    return path if path == Path("-") else _writable(path, in_new_folder=True)


def _writable(path: Path | None, *, in_new_folder: bool) -> Path | None:
    if path is not None and (reason := why_unwritable(path, in_new_folder=in_new_folder)):
        raise typer.BadParameter(reason)
    return path


def _reserve_stdout(context: typer.Context, asked: bool) -> bool:
    """Send the prints of agents and libraries to stderr if JSON was asked for, because stdout must contain only JSON.

    The redirection lasts until the command ends. Return `asked` unchanged.
    """
    if asked:
        context.with_resource(reserving_stdout())
    return asked


Agent = Annotated[
    str,
    typer.Option(
        "--agent",
        "-a",
        help="Agent name, or package.module:attribute. Default: the only agent in ./agents; starter if there is none.",
        show_default=False,
    ),
]
AgentsDir = Annotated[Path | None, typer.Option("--agents", help="Folder of agent files. Default ./agents.")]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Override the agent's model; `offline` uses the agent's script.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log requests, frames, messages and tool calls.")]
EnvFile = Annotated[Path | None, typer.Option("--env-file", help="Read this file instead of .env.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.", callback=_reserve_stdout)]
Port = Annotated[int | None, typer.Option("--port", "-p", help="Port to listen on; 0 picks a free one. Default 8000.")]
Url = Annotated[
    str | None,
    typer.Argument(
        metavar="URL",
        help="Webhook: http://host/path, or localhost:8000. Without a path, /api/agent is added.",
        show_default=False,
    ),
]
UrlOption = Annotated[str | None, typer.Option("--url", help="The same as URL.", show_default=False)]
DevPort = Annotated[
    int | None,
    typer.Option(
        "--port", "-p", help="Port to listen on; if taken, the next free one. 0 picks any free port. Default 8000."
    ),
]
Secret = Annotated[str | None, typer.Option("--secret", help="Webhook secret. Default LAYERCODE_WEBHOOK_SECRET.")]
StoreUrl = Annotated[str | None, typer.Option("--store", help="URL of the journal. Default LAYERCODE_STORE.")]
Tunnel = Annotated[
    bool,
    typer.Option(
        "--tunnel", help="Open a tunnel (LAYERCODE_TUNNEL_COMMAND, by default cloudflared) and print the webhook URL."
    ),
]
UpdateWebhook = Annotated[
    bool,
    typer.Option(
        "--update-webhook",
        "--unsafe-update-webhook",
        help="Point the agent's webhook at the tunnel until the command ends. Asks first.",
    ),
]
Fault = Annotated[
    str,
    typer.Option(
        "--fault", help="Inject faults, comma-separated: duplicate, drop, latency=MS, interrupt=MS, status=CODE."
    ),
]
SessionTimeout = Annotated[float | None, typer.Option(min=0.1, help="End a call after this many seconds of silence.")]
VoiceName = Annotated[
    Literal["espeak", "silence"] | None,
    typer.Option(
        "--voice",
        help="The agent's voice. Default: espeak if espeak-ng is installed, else silence for as long as speech takes.",
    ),
]
Stt = Annotated[
    str | None,
    typer.Option(
        "--stt",
        help="Speech recognition: URL of an OpenAI-compatible /audio/transcriptions, or a program that reads a WAV "
        "from stdin or from the file {wav}. Default LAYERCODE_STT.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
