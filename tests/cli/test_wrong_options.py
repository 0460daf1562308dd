"""Wrong options and files are refused with exit code 2 before a command starts its work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from layercode_app.cli.main import app, exit_code
from layercode_app.exceptions import ConfigurationError

from ..permissions import OBEYING, needs_permissions

CALLS = "agent: echo\nscenarios: [{name: a, turns: [{say: hi}]}]\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "calls.yaml").write_text(CALLS)
    (tmp_path / "latin1").write_bytes(b"caf\xe9")
    return tmp_path


def refused(*command: str) -> str:
    """Run a command that must be refused with exit code 2, and return its error message."""
    result = CliRunner().invoke(app, command, env={"TERMINAL_WIDTH": "200"})
    if isinstance(result.exception, ConfigurationError):
        assert exit_code(result.exception) == 2
        return str(result.exception)
    assert result.exit_code == 2, result.exception
    return " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize("option", ["--agent", "--model"])
def test_agents_and_models_are_named_once(option: str) -> None:
    assert "'offline' is given twice; use --repeat" in refused(
        "eval", "calls.yaml", option, "offline", option, "offline"
    )
    assert "the value is empty; expected a name" in refused("eval", "calls.yaml", option, "")


@pytest.mark.parametrize("option", ["--junit", "--html", "--save", "--baseline", "--judges", "--model", "--resume"])
def test_judge_check_refuses_options_that_only_scenarios_use(option: str, folder: Path) -> None:
    (folder / "labels.jsonl").write_text('{"judge": "polite", "label": "no", "answer": "no"}\n')
    value = [] if option == "--resume" else ["polite"]
    told = refused("eval", "judge-check", "labels.jsonl", "--judge", "test", option, *value)
    assert option in told
    assert "`judge-check` does not use this option; it uses only --judge, --concurrency and --json" in told


def test_a_file_that_is_not_utf8_is_named() -> None:
    assert "latin1 is not UTF-8" in refused("eval", "judge-check", "latin1")
    assert "latin1 is not UTF-8" in refused("fork", "conversation", "--at", "1", "--prompt", "latin1")


def test_a_digit_that_is_no_number_is_no_turn() -> None:
    result = CliRunner().invoke(app, ["fork", "conversation", "--at", "²"])
    assert "'conversation' is not in the journal" in str(result.exception)


def test_check_waits_for_some_time() -> None:
    assert "'--timeout'" in refused("check", "localhost:1", "--timeout", "-1")


@pytest.mark.parametrize("command", ["report", "agents", "--version", "eval calls.yaml --json", "eval --schema"])
def test_a_closed_stdout_is_no_fault(command: str) -> None:
    run = ["sh", "-c", f'exec "$0" -m layercode_app {command} >&-', sys.executable]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == (2 if command == "report" else 0), done.stderr


@needs_permissions
@pytest.mark.parametrize("env_file", [None, "LAYERCODE_FILLER=off\n"])
def test_a_folder_that_cannot_be_written_to_is_named_by_chat(env_file: str | None, folder: Path) -> None:
    if env_file is not None:
        (folder / ".env").write_text(env_file)
    folder.chmod(0o500)
    run = [*OBEYING, sys.executable, "-m", "layercode_app", "chat", "--agent", "echo", "--say", "hi"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    folder.chmod(0o700)
    assert done.returncode == 2, done.stderr
    assert ".env cannot be written: [Errno 13] Permission denied" in done.stderr
    assert "Traceback" not in done.stderr
