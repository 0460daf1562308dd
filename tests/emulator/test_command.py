"""The `emulator` command, as a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import typer
from typer.testing import CliRunner

from layercode_app.cli.emulator import emulator

from ..ports import free_port
from ..serving import serve
from .backend import SECRET, Backend
from .platform import READY, Platform

pytestmark = pytest.mark.anyio

RUN = "import typer; from layercode_app.cli.emulator import emulator; typer.run(emulator)"


@asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[str]:
    port = free_port()
    environment = {**os.environ, "LAYERCODE_WEBHOOK_SECRET": f"{SECRET},test-older"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, "--port", str(port), *arguments, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(30):
            while not await _answers(port):
                assert process.returncode is None
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        output, _ = await asyncio.wait_for(process.communicate(), 30)
        assert f"LAYERCODE_API_URL=http://127.0.0.1:{port}/v1" in output.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def test_it_serves_any_backend() -> None:
    backend = Backend()
    async with serve(backend) as webhook, command("--webhook", f"{webhook}/hook", "--push-to-talk") as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            p = Platform(url, None, backend, http)
            assert (await p.authorize())["config"]["transcription"]["trigger"] == "push_to_talk"
            async with p.client() as client:
                await client.send(READY)
                assert "response.audio" in [message["type"] for message in await client.listen()]
        await backend.until("session.end")
    assert not backend.refused


def test_without_a_secret_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAYERCODE_WEBHOOK_SECRET", raising=False)
    app = typer.Typer()
    app.command()(emulator)
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "--secret" in result.output
