"""The errors that a newcomer sees after a wrong name, a mistake in an agent file, or a missing recording."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from layercode_app import LayerCode, find_agent
from layercode_app.agent.discovery import discover
from layercode_app.cli.chat.session import ChatOptions, hold
from layercode_app.cli.main import app, exit_code
from layercode_app.exceptions import (
    AgentImportError,
    AgentNotFoundError,
    ConfigurationError,
    ForkError,
    LayerCodeError,
    NotRecordedError,
)
from layercode_app.observability.privacy import masking
from layercode_app.settings import load_settings

from ..calling import SECRET, settings
from ..ports import free_port
from ..processes import START_SECONDS, command, run
from ..serving import serve

pytestmark = pytest.mark.anyio

ECHO = """
from layercode_app import Turn, VoiceAgent

agent = VoiceAgent({name!r})


@agent.on_message
async def reply(turn: Turn) -> str:
    return look_up(turn.text) if turn.text.startswith("price") else turn.text


def look_up(item: str) -> str:
    raise KeyError(f"nothing known of {{item}}")
"""


@pytest.fixture
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project with an agent `parrot`, and change into it. Return its folder of agent files."""
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "parrot.py").write_text(ECHO.format(name="parrot"))
    monkeypatch.chdir(tmp_path)
    return folder


# --- names


@pytest.mark.slow
def test_the_only_agent_of_a_project_is_served_where_none_is_named(agents: Path) -> None:
    talked = CliRunner().invoke(app, ["chat", "--say", "Hello", "--json"])
    assert json.loads(talked.stdout)["spoken"] == "Hello", talked.output
    (agents / "parrot.py").write_text("import nothing_of_this_name")
    with pytest.raises(AgentImportError, match=r"parrot\.py failed to import"):
        discover().get()
    (agents / "parrot.py").unlink()
    assert discover().get().name == "starter"


def test_who_looks_for_log_lines_before_there_are_any_is_told_what_writes_them(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["logs", "--log-dir", str(tmp_path)])
    assert told.stderr == f"No log lines in {tmp_path} yet. `run` and `dev` write them.\n"
    told = CliRunner().invoke(app, ["logs", "--log-dir", str(tmp_path), "--turn", "t1"])
    assert "matches turn 't1'." in told.stderr


def test_a_name_that_comes_close_is_suggested(agents: Path) -> None:
    with pytest.raises(AgentNotFoundError, match=r"Did you mean 'parrot'\?"):
        discover().get("parot")
    told = CliRunner().invoke(app, ["dve"])
    assert told.exit_code == 2
    assert "Did you mean 'dev'?" in told.output
    told = CliRunner().invoke(app, ["chat", "--agnt", "parrot"])
    assert told.exit_code == 2
    assert "--agent" in told.output


def test_agents_of_one_name_and_files_without_one_are_said(agents: Path) -> None:
    (agents / "a_twin.py").write_text(ECHO.format(name="parrot"))
    (agents / "echo.py").write_text(ECHO.format(name="echo"))
    (agents / "prices.py").write_text("PRICES = {}\n")
    (agents / "_helper.py").write_text("PRICES = {}\n")
    found = discover()
    twin, empty = found.warnings
    assert f"'parrot' is in {agents / 'a_twin.py'} and in {agents / 'parrot.py'}: the first is used" in twin
    assert f"{agents / 'prices.py'} has no agent in it: expected a VoiceAgent" in empty
    assert "VoiceAgent('prices', …)" in empty
    assert found.notes == [
        f"The agent 'echo' of {agents / 'echo.py'} is used instead of the shipped agent of that name."
    ]
    told = json.loads(CliRunner().invoke(app, ["agents", "--json"]).stdout)
    assert (told["warnings"], told["notes"]) == (found.warnings, found.notes)
    assert twin in CliRunner().invoke(app, ["agents"]).stderr


@pytest.mark.slow
def test_an_agent_that_fails_to_import_is_said_once(agents: Path) -> None:
    (agents / "broken.py").write_text("import nothing_of_that_name\n")
    code, printed = run("run", "--agent", "broken", cwd=agents.parent, LAYERCODE_WEBHOOK_SECRET="test-secret")
    assert code == 3
    assert printed.count("Traceback") == 1
    assert printed.count("    import nothing_of_that_name") == 1


# --- conversations that are not there


@pytest.mark.slow
def test_a_conversation_that_is_not_there_ends_every_command_with_1(agents: Path, tmp_path: Path) -> None:
    code, printed = run("chat", "--agent", "parrot", "--conversation", "call-1", "--say", "hello", cwd=tmp_path)
    assert code == 0, printed
    invoke = CliRunner().invoke
    for arguments in (
        ["sessions", "show", "nope"],
        ["sessions", "forget", "nope", "-y"],
        ["fork", "nope", "--at", "1"],
    ):
        error = invoke(app, arguments).exception
        assert isinstance(error, LayerCodeError), arguments
        assert "'nope'" in str(error), arguments
        assert exit_code(error) == 1, arguments
    assert exit_code(NotRecordedError("no such call")) == 1
    assert exit_code(ForkError("no such turn")) == 2

    listed = invoke(app, ["sessions", "list"]).output
    assert " 1 turn  " in listed, listed
    assert "Deleted 1 turn of call-1, and 0 files." in invoke(app, ["sessions", "forget", "call-1", "-y"]).output


def test_logs_say_that_nothing_fits(agents: Path, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    result = CliRunner().invoke(app, ["logs", "--conversation", "nope", "--level", "ERROR"])
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "matches conversation 'nope', level ERROR and above." in result.stderr


# --- settings


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("PORT", "many", "it is 'many'"),
        ("LOG_LEVEL", "loud", "it is 'loud'"),
        ("LAYERCODE_AUTHORIZE_RATE", "often", "'often' is not a rate"),
    ],
)
def test_a_wrong_setting_shows_its_value(
    name: str, value: str, shown: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"The setting {name} is wrong") as caught:
        load_settings(env_file=None, toml_file=None)
    assert str(caught.value).count(f"'{value}'") == 1
    assert shown in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("agent_secrets", "test-very-secret"), ("channels", 7), ("store", ["redis://me:pass-word@host"])],
)
def test_a_wrong_secret_is_never_shown(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({name: value}, env_file=None, toml_file=None)
    assert "test-very-secret" not in str(caught.value)
    assert "pass-word" not in str(caught.value)


# --- a server that is not there, and an agent that fails


def test_check_says_once_that_nothing_listens(agents: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/api/agent"
    result = CliRunner().invoke(app, ["check", url, "--secret", "test-secret"])
    assert f"Nothing listens at {url}. Start the server" in str(result.exception)
    assert isinstance(result.exception, LayerCodeError)
    assert exit_code(result.exception) == 2
    assert "skipped" not in result.output


def test_chat_shows_a_failure_of_the_agent_and_ends_with_1(agents: Path, tmp_path: Path) -> None:
    code, printed = run(
        "chat", "--agent", "parrot", "--say", "hello", "--say", "price of tea", cwd=tmp_path, LOG_DIR="logs"
    )
    assert code == 1, printed
    assert printed.count("Conversation conv-") == 1
    assert "nothing known of price of tea" in printed
    assert f'File "{agents / "parrot.py"}", line 13, in look_up' in printed
    assert "layercode_app/" not in printed, "our own frames"
    logged = "".join(path.read_text() for path in (tmp_path / "logs").glob("*.log"))
    assert "The turn failed" in logged
    assert "nothing known of price of tea" not in logged, "files hide what may quote a caller"
    lines = [line for line in printed.splitlines() if " | " in line]
    assert not lines, "every line has the style of the console"


def test_a_debug_run_shows_the_message_of_an_error_too(agents: Path, tmp_path: Path) -> None:
    code, printed = run("chat", "--agent", "parrot", "--say", "price of tea", "--verbose", cwd=tmp_path, LOG_DIR="logs")
    assert code == 1, printed
    assert "nothing known of price of tea" in printed
    assert "turn_lifecycle.py" in printed, "all frames"
    assert "nothing known of price of tea" not in "".join(
        path.read_text() for path in (tmp_path / "logs").glob("*.log")
    )


async def test_chat_with_a_server_elsewhere_ends_with_1_after_an_apology(agents: Path, tmp_path: Path) -> None:
    async with serve(LayerCode(find_agent("parrot"), settings=settings(tmp_path))) as url:
        chat = ChatOptions(f"{url}/api/agent", "parrot", say=["hello"], secret=SECRET, as_json=True)
        assert await hold(chat) == 0
        chat.say = ["price of tea"]
        assert await hold(chat) == 1


def test_the_brief_form_has_the_causes_and_no_frames_but_the_owners(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def fail():\n    raise KeyError('tea')\n")
    scope: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    told = ""
    try:
        try:
            scope["fail"]()
        except KeyError as error:
            raise json.JSONDecodeError("no answer", "", 0) from error
    except ValueError as error:
        told = masking.brief(error)
    assert told.index("KeyError: 'tea'") < told.index("JSONDecodeError: no answer")
    assert f'File "{file}", line 2, in fail' in told


# --- the first lines


async def test_dev_ends_its_start_with_the_address(agents: Path, tmp_path: Path) -> None:
    output, port = tmp_path / "output.txt", free_port()
    async with command("dev", "--agent", "parrot", "--port", str(port), cwd=tmp_path) as process:
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while "Talk to your agent" not in output.read_text():
            assert process.returncode is None, output.read_text()
            assert asyncio.get_running_loop().time() < deadline, output.read_text()
            await asyncio.sleep(0.1)
        lines = output.read_text().splitlines()
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 100)
    assert lines[-1].endswith(f"Talk to your agent at http://127.0.0.1:{port}/")
    assert "INFO    A webhook secret for development was written to .env" in lines[0]
