"""`connect` against the emulated platform: each step, the first call, a repeated run, and the undo."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

import pytest

from layercode_app.emulator.agents import AgentSpec
from layercode_app.emulator.app import create_emulator
from layercode_app.emulator.webhooks import WebhookClient
from layercode_app.exceptions import ConfigurationError
from layercode_app.platform.client import PlatformClient
from layercode_app.settings.env_file import set_values, undo

from ..platform.test_tunnel import FAKE
from ..ports import free_port
from ..processes import command
from ..serving import serve

pytestmark = pytest.mark.anyio

KEY = "test-api-key"
BEFORE = "https://before.example/api/agent"


async def until(text: str, output: Path) -> None:
    deadline = time.monotonic() + 60
    while text not in (said := output.read_text() if output.exists() else ""):
        assert time.monotonic() < deadline, said
        await asyncio.sleep(0.1)


def variables(folder: Path) -> dict[str, str]:
    lines = (folder / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


async def test_from_an_empty_env_to_the_first_call_and_back(tmp_path: Path) -> None:
    before = f"# mine\nLAYERCODE_API_KEY={KEY}\nLAYERCODE_WEBHOOK_SECRET=dev-made-up\nLOG_LEVEL=INFO\n"
    (tmp_path / ".env").write_text(before)
    emulator = create_emulator(BEFORE, "test-secret", agents=[AgentSpec("a0", BEFORE, "test-secret")], api_key=KEY)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with serve(emulator) as platform, PlatformClient(KEY, base_url=f"{platform}/v1") as client:
        env = {
            "LAYERCODE_API_URL": f"{platform}/v1",
            "LAYERCODE_TUNNEL_COMMAND": f"{sys.executable} {FAKE} --url {{url}}",
            "LAYERCODE_TUNNEL_PATTERN": r"http://127\.0\.0\.1:\d+",
            "FAKE_TUNNEL": "normal",
            "FAKE_TUNNEL_URL": url,
        }
        known = {agent.id for agent in await client.agents()}
        options = ("connect", "--agent", "echo", "--port", str(port), "--yes")
        agent_id = secret = ""
        for attempt in ("first", "again"):
            output = tmp_path / f"{attempt}.txt"
            async with command(*options, cwd=tmp_path, env=env, output=output) as process:
                await until("until this server stops", output)
                agent_id, secret = (variables(tmp_path)[f"LAYERCODE_{n}"] for n in ("AGENT_ID", "WEBHOOK_SECRET"))
                assert (await client.agent(agent_id)).webhook_url == f"{url}/api/agent"
                async with WebhookClient(f"{url}/api/agent", secret) as caller:
                    event = {"type": "message", "text": "hello there", "turn_id": attempt, "session_id": "s"}
                    phone = {"conversation_id": f"c-{attempt}", "from_phone_number": "+15550001"}
                    async with caller.deliver(event | phone) as answer:
                        assert [frame.type async for frame in answer.frames()][-1] == "response.end"
                await until("5. First call: ", output)
                process.send_signal(signal.SIGINT)
                assert await asyncio.wait_for(process.wait(), 100) == 0
            assert (await client.agent(agent_id)).webhook_url == BEFORE
        made = {agent.id for agent in await client.agents()} - known

        (tmp_path / "undone.txt").touch()
        async with command("connect", "--undo", cwd=tmp_path, env=env, output=tmp_path / "undone.txt") as process:
            assert await asyncio.wait_for(process.wait(), 100) == 0

    first, again = ((tmp_path / f"{name}.txt").read_text() for name in ("first", "again"))
    assert f"2. Agent: created {agent_id}" in first
    assert "from +15550001" in first
    assert "You said: hello there" in first
    assert f"2. Agent: {agent_id}" in again
    assert "already complete" in again
    assert made == {agent_id}, "the second time uses what the first one made"
    assert KEY not in first + again
    assert secret not in first + again
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    after = variables(tmp_path)
    assert after == {"LAYERCODE_API_KEY": KEY, "LAYERCODE_WEBHOOK_SECRET": "dev-made-up", "LOG_LEVEL": "INFO"}
    assert (tmp_path / ".env").read_text().startswith("# mine\n")


@pytest.mark.parametrize(
    ("how", "public", "why"),
    [
        ("early", None, "The tunnel's program ended with exit code 1"),
        ("none", None, "The tunnel printed no URL within 2 s"),
        ("normal", "http://127.0.0.1:1", "does not reach this server"),
        ("dies", None, "Lost connection with the edge"),
    ],
)
async def test_it_ends_with_an_error_when_the_tunnel_is_lost(
    tmp_path: Path, how: str, public: str | None, why: str
) -> None:
    emulator = create_emulator(BEFORE, "test-secret", agents=[AgentSpec("a0", BEFORE, "test-secret")], api_key=KEY)
    port = free_port()
    async with serve(emulator) as platform, PlatformClient(KEY, base_url=f"{platform}/v1") as client:
        env = {
            "LAYERCODE_API_KEY": KEY,
            "LAYERCODE_AGENT_ID": "a0",
            "LAYERCODE_WEBHOOK_SECRET": "test-secret",
            "LAYERCODE_API_URL": f"{platform}/v1",
            "LAYERCODE_TUNNEL_COMMAND": f"{sys.executable} {FAKE} --url {{url}}",
            "LAYERCODE_TUNNEL_PATTERN": r"http://127\.0\.0\.1:\d+",
            "LAYERCODE_TUNNEL_TIMEOUT": "15" if how == "dies" else "2",
            "FAKE_TUNNEL": how,
            "FAKE_TUNNEL_URL": public or f"http://127.0.0.1:{port}",
        }
        options = ("connect", "--agent", "echo", "--port", str(port), "--yes")
        async with command(*options, cwd=tmp_path, env=env) as process:
            assert await asyncio.wait_for(process.wait(), 100) == 1, (tmp_path / "output.txt").read_text()
        assert (await client.agent("a0")).webhook_url == BEFORE
    output = (tmp_path / "output.txt").read_text()
    assert output.count(why) == 1
    assert "Traceback" not in output


async def test_without_a_key_and_nobody_to_ask_it_says_what_is_missing(tmp_path: Path) -> None:
    env = {"LAYERCODE_TUNNEL_COMMAND": f"{sys.executable} {{url}}"}
    async with command("connect", "--yes", cwd=tmp_path, env=env) as process:
        assert await asyncio.wait_for(process.wait(), 100) == 2
    assert "LAYERCODE_API_KEY is not set" in (tmp_path / "output.txt").read_text()


def test_variables_change_and_come_back_and_nothing_else_does(tmp_path: Path) -> None:
    env, kept = tmp_path / ".env", tmp_path / "undo.json"
    env.write_text('# comment\nexport A="old one"\nB=2')
    set_values({"A": "new", "C": "3"}, env_file=env, undo_file=kept)
    assert env.read_text() == "# comment\nB=2\nA=new\nC=3\n"
    set_values({"A": "newer"}, env_file=env, undo_file=kept)
    assert undo(env_file=env, undo_file=kept) == ["A", "C"]
    assert env.read_text() == '# comment\nB=2\nA="old one"\n'
    assert undo(env_file=env, undo_file=kept) == []


def test_a_file_that_is_shared_by_a_link_or_made_elsewhere_stays_what_it_is(tmp_path: Path) -> None:
    shared, env, kept = tmp_path / "shared.env", tmp_path / ".env", tmp_path / "undo.json"
    shared.write_bytes(b"# of all\r\nA=old\r\nB=2\r\n")
    env.symlink_to(shared)
    set_values({"A": "new"}, env_file=env, undo_file=kept)
    assert env.is_symlink()
    assert shared.read_bytes() == b"# of all\r\nB=2\r\nA=new\r\n"
    undo(env_file=env, undo_file=kept)
    assert shared.read_bytes() == b"# of all\r\nB=2\r\nA=old\r\n"


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
def test_what_was_kept_and_cannot_be_read_is_told_with_what_to_do(tmp_path: Path, text: str) -> None:
    env, kept = tmp_path / ".env", tmp_path / "undo.json"
    env.write_text("A=1\n")
    kept.write_text(text)
    for change in (
        lambda: undo(env_file=env, undo_file=kept),
        lambda: set_values({"A": "2"}, env_file=env, undo_file=kept),
    ):
        with pytest.raises(ConfigurationError, match=r"then delete .*undo\.json"):
            change()
    assert env.read_text() == "A=1\n"
