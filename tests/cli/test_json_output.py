"""With `--json`, stdout is one JSON document, even if agent files print at import and in a turn."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from layercode_app.cli.main import app
from layercode_app.cli.options import AsJson
from layercode_app.output.terminal import print_json, print_line

from .. import forked

AGENT = """
from layercode_app import Turn, VoiceAgent

print("AT IMPORT")
agent = VoiceAgent("talky", greeting="Hi.")


@agent.on_message
async def answer(turn: Turn) -> str:
    print("IN A TURN")
    return f"You said {turn.text}."
"""
SCENARIO = "agent: talky\nscenarios: [{name: a, turns: [{say: a}]}]\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with an agent that prints, a scenario, and a recorded call."""
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "talky.py").write_text(AGENT)
    (tmp_path / "evals.yaml").write_text(SCENARIO)
    return tmp_path


def run(folder: Path, *words: str, code: int = 0) -> Any:
    """Run a command with `--json`, and return the JSON on stdout. Check that the agent file's output is on stderr."""
    environment = os.environ | {"LAYERCODE_STORE": f"sqlite:///{folder}/journal.db"}
    done = forked.run(["-m", "layercode_app", *words, "--json"], cwd=folder, env=environment)
    assert done.returncode == code, done.stderr
    assert "AT IMPORT" in done.stderr
    return json.loads(done.stdout)


def test_what_agents_print_goes_to_stderr(project: Path) -> None:
    assert run(project, "agents")["agents"][0]["name"] == "talky"
    assert run(project, "chat", "--say", "hi", "--conversation", "call")["spoken"] == "You said hi."
    assert run(project, "eval", "evals.yaml")["ok"] is True
    assert run(project, "replay", "call")["conversation_id"] == "call"
    assert run(project, "fork", "call", "--at", "1", "--say", "bye")["turns"]


@pytest.mark.slow
def test_what_agents_print_while_they_are_examined_goes_to_stderr(project: Path) -> None:
    assert run(project, "doctor", "--offline", code=1)
    assert run(project, "profile", "talky", "--turns", "1")


def test_every_command_with_json_reserves_stdout() -> None:
    """Each `--json` option has a callback, as in `AsJson`: it sends what agents and libraries print to stderr."""
    with_json = 0
    for command in _commands(typer.main.get_command(app)):
        for option in command.params:
            if "--json" in option.opts:
                with_json += 1
                assert option.callback is not None, command.name
    assert with_json > 20


def _commands(group: Any) -> list[Any]:
    found = [group]
    for command in getattr(group, "commands", {}).values():
        found += _commands(command)
    return found


def test_stdout_is_given_back_when_the_command_ends() -> None:
    small = typer.Typer()

    @small.command()
    def show(as_json: AsJson = False) -> None:
        sys.stdout.write("printed by an agent\n")
        print_line("a line of ours")
        print_json({"ok": as_json})

    quiet, loud = CliRunner().invoke(small, ["--json"]), CliRunner().invoke(small)
    assert (quiet.stdout, quiet.stderr) == ('a line of ours\n{\n  "ok": true\n}\n', "printed by an agent\n")
    assert loud.stdout == 'printed by an agent\na line of ours\n{\n  "ok": false\n}\n'
