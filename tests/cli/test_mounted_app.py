"""If `chat` gets the address of a mounted app, and is redirected by the framework, it says where the app answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from typer.testing import CliRunner

from layercode_app import LayerCode, VoiceAgent
from layercode_app.cli.main import app as command

from ..calling import SECRET, settings
from ..serving import serve


@pytest.mark.anyio
async def test_a_redirect_is_told_with_where_it_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    voice = LayerCode(VoiceAgent("support", greeting="Hello."), settings=settings(tmp_path))
    async with serve(Starlette(routes=[Mount("/voice", voice)]), lifespan="off") as url:
        args = ["chat", f"{url}/voice", "--secret", SECRET, "--say", "hello"]
        result = await asyncio.to_thread(CliRunner().invoke, command, args)
    told = " ".join((result.output + str(result.exception)).split())
    assert result.exit_code != 0
    assert f"The backend answered 307, a redirect to {url}/voice/: redirects are not followed" in told
    assert "answers at /voice/api/agent" in told
