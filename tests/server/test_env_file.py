"""A worker that replaces another reads `.env` again: after SIGHUP, and with --reload after a change of the file."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from layercode_app.emulator.webhooks import WebhookClient

from ..ports import free_port
from ..processes import command, listening
from ..waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

AGENT = """
import os
from layercode_app import Turn, VoiceAgent

agent = VoiceAgent("teller")

@agent.on_message
async def tell(turn: Turn) -> str:
    return " ".join(os.environ.get(name, "none") for name in ("CHANGED", "REMOVED", "ADDED", "REAL"))
"""


async def answer(url: str, secret: str) -> str:
    event = {"type": "message", "text": "hi", "turn_id": "t", "session_id": "s", "conversation_id": secret}
    async with WebhookClient(url + "/api/agent", secret) as client, client.deliver(event) as answered:
        if not answered.is_stream:
            return ""
        return "".join([str(frame.content) async for frame in answered.frames() if frame.type == "response.tts"])


@pytest.mark.parametrize("options", [("--workers", "2"), ("--reload",)], ids=["workers", "reload"])
async def test_a_new_worker_has_the_variables_of_the_file_as_it_is_now(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "teller.py").write_text(AGENT)
    file = tmp_path / ".env"
    file.write_text("LAYERCODE_WEBHOOK_SECRET=old-secret\nCHANGED=1\nREMOVED=1\nREAL=file\n")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    run = ("run", "--host", "127.0.0.1", "--port", str(port), *options)
    async with command(*run, cwd=tmp_path, env={"REAL": "environment"}) as process:
        await listening(url, process)
        assert await answer(url, "old-secret") == "1 1 none environment"
        file.write_text("LAYERCODE_WEBHOOK_SECRET=new-secret\nCHANGED=2\nADDED=1\nREAL=changed\n")
        if "--workers" in options:
            process.send_signal(signal.SIGHUP)
        output = tmp_path / "output.txt"
        await until(lambda: output.read_text().count("Shutting down") == len(options), seconds=100)
        await listening(url, process)
        assert await answer(url, "new-secret") == "2 none 1 environment"
        assert await answer(url, "old-secret") == ""
