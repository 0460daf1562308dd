"""`emulator`: run the LayerCode platform on this machine, for a backend in any language."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from .options import Fault, Secret, SessionTimeout, Stt, VoiceName

HOST = "127.0.0.1"


def emulator(
    webhook: Annotated[str, typer.Option(help="URL of the backend's webhook.")] = "http://127.0.0.1:8000/api/agent",
    secret: Secret = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 8787,
    session_webhook: Annotated[
        str | None, typer.Option(help="Separate URL for session events; newer agents at the platform have one.")
    ] = None,
    push_to_talk: Annotated[bool, typer.Option(help="The caller holds a button to speak.")] = False,
    can_interrupt: Annotated[bool, typer.Option(help="The caller may speak over the agent.")] = True,
    recordings: Annotated[
        Path | None, typer.Option(help="Folder for WAV recordings of sessions. Default: no recordings.")
    ] = None,
    fault: Fault = "",
    session_timeout: SessionTimeout = None,
    voice: VoiceName = None,
    stt: Stt = None,
) -> None:
    """Emulate LayerCode for any backend, offline and without an account."""
    import uvicorn

    from ..emulator.app import create_emulator
    from ..emulator.faults import Faults
    from ..emulator.speech import pick_voice
    from ..emulator.transcription import transcriber_of
    from ..emulator.websocket import PING_SECONDS
    from ..output.terminal import print_line
    from ..server.port import check_port
    from ..settings import load_settings
    from .webhook import webhook_secret

    signing = webhook_secret(secret or None).partition(",")[0].strip()
    app = create_emulator(
        webhook,
        signing,
        session_webhook_url=session_webhook,
        style="welcome" if session_webhook else "session.start",
        trigger="push_to_talk" if push_to_talk else "automatic",
        can_interrupt=can_interrupt,
        session_timeout=session_timeout,
        voice=pick_voice(voice),
        recordings=recordings,
        faults=Faults.read(fault),
        transcriber=transcriber_of(load_settings({"stt": stt})),
        notices=partial(print_line, err=True),
    )
    check_port(HOST, port)
    print_line(f"LayerCode emulator on http://127.0.0.1:{port}/v1, webhooks to {webhook}")
    print_line(f"  LAYERCODE_API_URL=http://127.0.0.1:{port}/v1")
    print_line(f"  browser clients: client._websocketUrl = 'ws://127.0.0.1:{port}/v1/agents/web/websocket'")
    uvicorn.run(
        app, host=HOST, port=port, log_level="warning", timeout_graceful_shutdown=3, ws_ping_interval=PING_SECONDS
    )
