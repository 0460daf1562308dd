"""The `emulator` command, run as a separate process."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile

import httpx
import pytest

from layercode_app.emulator.speech import Silence, pick_voice
from layercode_app.exceptions import ConfigurationError

from .. import forked
from ..forked import AsyncProcess
from ..ports import free_port
from ..processes import ROOT, run
from ..serving import serve
from .backend import SECRET, Backend
from .platform import READY, Platform

pytestmark = pytest.mark.anyio

RUN = "import typer; from layercode_app.cli.emulator import emulator; typer.run(emulator)"


@asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[str]:
    port = free_port()
    environment = {**os.environ, "LAYERCODE_WEBHOOK_SECRET": f"{SECRET},test-older"}
    with TemporaryFile() as output:
        process = AsyncProcess(
            forked.start(["-c", RUN, "--port", str(port), *arguments], cwd=ROOT, env=environment, stdout=output)
        )
        try:
            async with asyncio.timeout(100):
                while not await _answers(port):
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
            process.terminate()
            await asyncio.wait_for(process.wait(), 100)
            output.seek(0)
            assert f"LAYERCODE_API_URL=http://127.0.0.1:{port}/v1" in output.read().decode()
        finally:
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


@pytest.mark.slow
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


async def test_faults_silence_and_voice_can_be_chosen() -> None:
    backend = Backend()
    options = ("--fault", "duplicate,latency=20", "--session-timeout", "0.5", "--voice", "silence")
    async with (
        serve(backend) as webhook,
        command("--webhook", f"{webhook}/hook", *options) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as http,
    ):
        shown = (await http.get("/emulator/faults")).json()
        assert (shown["duplicate"], shown["latency_ms"], shown["drop_webhooks"]) == (True, 20, False)
        async with Platform(url, None, backend, http).client() as client:
            await client.send(READY)
            messages = await client.listen()
            await backend.until("session.end")
    audio = b"".join(base64.b64decode(m["content"]) for m in messages if m["type"] == "response.audio")
    assert set(audio) == {0}
    assert len(backend.of("session.start")) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--webhook", "foo"), "'foo' must begin with http:// or https://"),
        (("--webhook", "http://127.0.0.1:port/hook"), "is not a URL"),
        (("--webhook", "http://127.0.0.1:99999/hook"), "is too large"),
        (("--session-webhook", "backend:8000/hook"), "must begin with http:// or https://"),
        (("--fault", "explode"), "There is no fault 'explode'; expected duplicate, drop, latency=MS"),
        (("--fault", "duplicate=2"), "There is no fault 'duplicate=2'"),
        (("--fault", "latency"), "There is no fault 'latency'"),
        (("--fault", "drop,latency=soon"), "The fault latency='soon' is not valid"),
        (("--fault", "status=200"), "The fault status='200' is not valid"),
    ],
)
def test_what_cannot_work_is_refused_at_once(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    code, output = run("emulator", "--secret", "test-secret", *options, cwd=tmp_path)
    assert (code, said in output) == (2, True), output


def test_a_voice_that_is_not_installed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigurationError, match="espeak-ng"):
        pick_voice("espeak")
    assert isinstance(pick_voice(), Silence)


def test_without_a_secret_it_says_what_is_missing(tmp_path: Path) -> None:
    code, output = run("emulator", cwd=tmp_path)
    assert (code, "Give --secret, or set LAYERCODE_WEBHOOK_SECRET." in output) == (2, True), output


def test_the_secret_of_a_project_is_used_and_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LAYERCODE_WEBHOOK_SECRET=test-secret\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, output = run("emulator", "--port", str(taken.getsockname()[1]), cwd=tmp_path)
    assert (code, "or give another port: --port" in output) == (2, True), output
    assert "LayerCode emulator on" not in output
