"""Names that are not UTF-8, such as those of files from an archive in Latin-1: folders, files and arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from layercode_app.agent.discovery import discover
from layercode_app.testing.evals.scenario import ScenarioFile
from layercode_app.testing.evals.source import source_digest

from ..processes import run

AGENT = "from layercode_app import VoiceAgent\n\nagent = VoiceAgent('shop', greeting='Hello')\n"
CALLS = "agent: shop\nscenarios: [{name: a, turns: [{expect: {contains: [hello]}}]}]\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an agent and a scenario, in a folder whose name is not UTF-8."""
    folder = tmp_path / "B\udcfccher"
    try:
        (folder / "agents").mkdir(parents=True)
    except (OSError, UnicodeError):
        pytest.skip("This file system has no such names.")
    (folder / "agents" / "shop.py").write_text(AGENT)
    (folder / "calls.yaml").write_text(CALLS)
    monkeypatch.chdir(folder)
    return folder


def test_an_agent_and_its_source_are_found(project: Path) -> None:
    assert discover(project / "agents").own() == ["shop"]
    calls = ScenarioFile.model_validate({"agent": "shop", "scenarios": [{"name": "a", "turns": [{"say": "hi"}]}]})
    before = source_digest([calls], project / "agents")
    (project / "agents" / "shop.py").write_text(AGENT + "\n")
    assert source_digest([calls], project / "agents") != before


@pytest.mark.slow
@pytest.mark.parametrize("command", ["agents", "eval calls.yaml", "chat --agent echo --say hi"])
def test_a_command_runs_in_the_folder(command: str, project: Path) -> None:
    code, printed = run(*command.split(), cwd=project)
    assert code == 0, printed


@pytest.mark.parametrize("command", ["sessions show", "sessions explain", "sessions export", "replay"])
def test_an_argument_that_must_be_utf8_is_named(command: str, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/journal.sqlite3"
    assert run("chat", "--agent", "echo", "--say", "hi", cwd=tmp_path, LAYERCODE_STORE=store)[0] == 0
    code, printed = run(*command.split(), "call-\udcfc", cwd=tmp_path, LAYERCODE_STORE=store)
    assert code == 2, printed
    assert printed.splitlines()[-1] == r"Error: 'call-\udcfc' is not UTF-8; expected text in UTF-8."


def test_the_logs_of_such_a_conversation_are_none(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text('{"time": 1, "level": "INFO", "message": "x"}\n')
    code, printed = run("logs", "--conversation", "call-\udcfc", cwd=tmp_path)
    assert code == 0, printed
