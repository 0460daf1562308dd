"""A development server reloads its agents when a file changes, and drops no caller."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import httpx
import psutil
import pytest
from loguru import logger
from websockets.asyncio.client import connect

from layercode_app.dev.app import DevApp
from layercode_app.dev.reload import watching
from layercode_app.dev.serve import DevOptions, reload
from layercode_app.emulator.speech import Silence
from layercode_app.settings.limits import Limits

from ..ports import free_port
from ..processes import command, listening
from ..waiting import until
from .serving import AGENTS, dev_server
from .test_dev_app import client, get

pytestmark = pytest.mark.anyio

SAYS = '''"""Says a word."""
from layercode_app import Turn, VoiceAgent

agent = VoiceAgent("{name}", greeting="Hello.")

@agent.on_message
async def say(turn: Turn) -> str:
    return "{word}"
'''


def write(folder: Path, name: str, word: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(SAYS.format(name=name, word=word))


async def test_a_changed_file_answers_the_next_turn_of_the_same_session(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    write(folder, "word", "before")
    async with dev_server(tmp_path, agents=folder, agent="word", voice=Silence(pace=100)) as app:
        version = app.layercode.agents["word"].fingerprint
        session = app.emulator.open(app.emulator.authorize("word"), send=lambda _: None, hang_up=lambda _: None)
        session.receive({"type": "client.ready"})
        await session.idle()
        async with watching(app.watched, lambda: app.reload(app.layercode.settings)):
            await asyncio.sleep(0.5)
            write(folder, "word", "after")
            await until(lambda: app.layercode.agents["word"].fingerprint != version)
        session.receive({"type": "client.response.text", "content": "well?"})
        await session.idle()
        assert [turn.text for turn in session.turns] == ["Hello.", "after"]


async def test_a_file_that_fails_is_named_and_its_last_good_version_and_the_others_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    shutil.copytree(AGENTS, folder)
    write(folder, "word", "still here")
    async with dev_server(tmp_path, agents=folder) as app:
        (folder / "word.py").write_text("raise ValueError('a slip of the pen')")
        write(folder, "another", "new")
        app.reload(app.layercode.settings)
        told = await get(app, "/dev/api/agents")
        async with client(app) as http:
            ready = (await http.get("/ready")).json()
        assert {"word", "shop", "another"} <= set(app.layercode.agents)
        assert {"word", "shop", "another"} <= set(app.emulator.agents)

    assert len(told["failed"]) == 1
    assert told["failed"][0]["file"].endswith("word.py")
    assert "a slip of the pen" in told["failed"][0]["traceback"]
    assert ready["components"]["agents"]["status"] == "degraded"


async def test_a_shipped_agent_of_its_name_does_not_answer_for_a_file_that_fails(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    write(folder, "echo", "mine")
    async with dev_server(tmp_path, agents=folder, agent="echo") as app:
        mine = app.layercode.agents["echo"].fingerprint
        for _ in range(2):
            (folder / "echo.py").write_text("def broken(:")
            app.reload(app.layercode.settings)
            assert app.layercode.agents["echo"].fingerprint == mine
            assert [one["answers"] for one in app.describe()["failed"]] == [True]


async def test_a_changed_setting_is_applied_or_said_to_need_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    write(folder, "word", "here")
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), level="INFO", format="{message}")
    changes = {
        "turn_timeout": 7.0, "tool_timeout": 3.0, "history_tokens": 99, "apology": "Oh no.", "timeout_apology": "Too slow.",
        "max_turns": 0, "busy": "Busy.", "hook_timeout": 2.0, "authorize_origins": ("https://a.example",),
        "authorize_rate": "1/hour",
    }  # fmt: skip
    try:
        async with dev_server(tmp_path, agents=folder, agent="word", max_turns=5) as app:
            before = app.layercode.settings
            app.reload(before.model_copy())
            assert app.layercode.turns.limits == Limits.of(before)
            assert app.layercode.turns.limits.max_turns == 5
            after = before.model_copy(update={**changes, "log_level": "DEBUG"})
            app.reload(after)
            limits = app.layercode.turns.services.limits
            assert limits == Limits.of(after)
            assert (limits.apology, limits.max_turns) == ("Oh no.", 0)
            (folder / "word.py").unlink()
            app.reload(before)
            assert app.layercode.turns.limits == Limits.of(after)
            assert app.layercode.settings == after
    finally:
        logger.remove(sink)
    waiting = [line.strip() for line in lines if "need a restart" in line]
    assert waiting == ["Changed settings that need a restart of `dev`: LOG_LEVEL"]


async def test_when_nothing_can_be_used_everything_stays(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    write(folder, "word", "here")

    def agents(app: DevApp) -> dict[str, object]:
        return dict(app.layercode.agents)

    async with dev_server(tmp_path, agents=folder, agent="word") as app:
        before = agents(app)
        (folder / "word.py").unlink()
        app.reload(app.layercode.settings)
        assert agents(app) == before


async def test_the_command_serves_the_page_rereads_env_and_stops_with_an_open_stream(tmp_path: Path) -> None:
    write(tmp_path / "agents", "word", "hi")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    output = tmp_path / "output.txt"
    async with command("dev", "--agent", "word", "--port", str(port), cwd=tmp_path) as process:
        await listening(url, process)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /dev/api/live HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode())
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), 100)
        with (tmp_path / ".env").open("a") as env:
            env.write("LAYERCODE_APOLOGY=Oops\n")
        await until(lambda: "Reloaded: word" in output.read_text())
        process.terminate()
        code = await asyncio.wait_for(process.wait(), 100)
        writer.close()
    assert code == 0, output.read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0


async def test_the_log_lines_of_a_turn_are_read_back_and_no_session_key_is_among_them(tmp_path: Path) -> None:
    write(tmp_path / "agents", "word", "hi")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with (
        command("dev", "--agent", "word", "--port", str(port), cwd=tmp_path, env={"LOG_DIR": "logs"}) as process,
        httpx.AsyncClient(base_url=url, trust_env=False) as http,
    ):
        await listening(url, process)
        opened = await http.post("/dev/api/sessions", json={"agent": "word"})
        assert opened.status_code == 200, opened.text
        grant = opened.json()
        key, call = grant["client_session_key"], f"/dev/api/conversations/{grant['conversation_id']}"
        async with connect(f"ws://127.0.0.1:{port}/v1/agents/web/websocket?client_session_key={key}") as socket:
            await socket.send('{"type": "client.ready"}')
            while '"response.end"' not in str(await asyncio.wait_for(socket.recv(), 100)):
                pass
        turn = (await http.get(call)).json()["turns"][0]["turn_id"]
        lines = (await http.get(f"{call}/turns/{turn}/logs")).json()["lines"]
    assert [line["turn_id"] for line in lines if line.get("event") == "turn"] == [turn]
    files = list((tmp_path / "logs").iterdir())
    assert files
    assert not any(key in path.read_text() for path in [*files, tmp_path / "output.txt"])


async def test_a_removed_secret_stays_in_use_until_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "agents"
    write(folder, "word", "before")
    async with dev_server(tmp_path, agents=folder, agent="word", voice=Silence(pace=100)) as app:
        session = app.emulator.open(app.emulator.authorize("word"), send=lambda _: None, hang_up=lambda _: None)
        session.receive({"type": "client.ready"})
        await session.idle()
        write(folder, "word", "after")
        reload(app, DevOptions())
        assert (await get(app, "/dev/api/agents"))["error"] is None
        session.receive({"type": "client.response.text", "content": "well?"})
        await session.idle()
        assert [turn.text for turn in session.turns] == ["Hello.", "after"]


@pytest.mark.slow
async def test_the_command_reports_a_mistake_in_env_to_the_page(tmp_path: Path) -> None:
    write(tmp_path / "agents", "word", "hi")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with (
        command("dev", "--port", str(port), cwd=tmp_path) as process,
        httpx.AsyncClient(base_url=url, trust_env=False) as http,
    ):
        await listening(url, process)

        async def reported(error: str | None) -> None:
            async with asyncio.timeout(100):
                while (await http.get("/dev/api/agents")).json()["error"] != error:
                    await asyncio.sleep(0.05)

        (tmp_path / ".env").write_text("LAYERCODE_HISTORY_TOKENS=abc\n")
        await reported(
            "The setting LAYERCODE_HISTORY_TOKENS is wrong: Input should be a valid integer, unable to parse string as an "
            "integer; it is 'abc'."
        )
        (tmp_path / ".env").write_text("LAYERCODE_HISTORY_TOKENS=99\n")
        await reported(None)


WITH_SERVER = '''"""Has an MCP server."""
import sys
from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from layercode_app import VoiceAgent

oven = MCPToolset(StdioTransport(sys.executable, ["{server}"]), id="oven")
agent = VoiceAgent("oven", Agent(toolsets=[oven]), greeting="{word}")
'''


async def test_a_reload_opens_the_new_mcp_servers_and_closes_the_old(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    folder = tmp_path / "agents"
    folder.mkdir()
    server = Path(__file__).parents[1] / "agent" / "mcp_server.py"

    def runs(child: psutil.Process) -> bool:
        try:
            return str(server) in child.cmdline()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            return False

    def children() -> set[int]:
        return {child.pid for child in psutil.Process().children() if runs(child)}

    (folder / "oven.py").write_text(WITH_SERVER.format(server=server, word="before"))
    async with dev_server(tmp_path, agents=folder, agent="oven") as app:
        await until(children)
        before = children()
        (folder / "oven.py").write_text(WITH_SERVER.format(server=server, word="after"))
        app.reload(app.layercode.settings)
        await until(lambda: children() and not children() & before)
        assert len(children()) == 1
    await until(lambda: not children())


async def test_of_several_agents_in_a_file_the_one_named_after_it_answers(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    write(folder, "helpdesk", "hello")
    with (folder / "helpdesk.py").open("a") as file:
        file.write('\nbilling = VoiceAgent("billing")\n')
    async with dev_server(tmp_path, agents=folder, agent="", voice=Silence(pace=100)) as app:
        assert next(iter(app.layercode.agents)) == "helpdesk"
