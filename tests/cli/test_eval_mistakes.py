"""`eval` finds mistakes in every file before it pays for a run, and later mistakes lose no result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from layercode_app.cli.main import app, exit_code
from layercode_app.exceptions import DeveloperError

MINE = """
from pathlib import Path
from pydantic_ai import Agent
from layercode_app import VoiceAgent

helper = Agent()
agent = VoiceAgent("mine", helper)

@helper.tool_plain
def weather() -> str:
    return "sunny"

@agent.on_message
async def reply(turn):
    with Path("played.txt").open("a") as file:
        file.write("played\\n")
    return "Hi."
"""
CALLERS = """
from layercode_app import ConfigurationError

def fails(hearing):
    raise ConfigurationError("no such table")
"""
FIRST = {"agent": "mine", "scenarios": [{"name": "first", "turns": [{"say": "hello"}]}]}
TURNS = [{"say": "hello"}]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "mine.py").write_text(MINE)
    (tmp_path / "callers_of_mine.py").write_text(CALLERS)
    (tmp_path / "1.yaml").write_text(json.dumps(FIRST))
    return tmp_path


def evaluate(*options: str, agent: str = "mine", **second: object) -> Result:
    """Write `2.yaml` with one scenario that has the fields `second`, and run `eval` with `1.yaml` and `2.yaml`."""
    told = {"agent": agent, "scenarios": [{"name": "second", **second}]}
    Path("2.yaml").write_text(json.dumps(told))
    return CliRunner().invoke(app, ["eval", "1.yaml", "2.yaml", "--json", *options])


@pytest.mark.parametrize(
    ("mistake", "second", "options"),
    [
        ("Agent 'mien' not found", {"agent": "mien", "turns": TURNS}, ()),
        ("there is no module 'no'", {"caller": {"script": "no.such:thing"}}, ()),
        ("Use --caller-model", {"caller": {"persona": "x", "goal": "y"}}, ()),
        ("has no tool of that name", {"turns": TURNS, "mock": {"wether": "sunny"}}, ()),
        ("polight", {"turns": TURNS, "end": {"judge": ["polight"]}}, ()),
        ("no-such:model", {"turns": TURNS}, ("--model", "offline", "--model", "no-such:model")),
    ],
)
def test_no_run_is_paid_if_a_later_file_has_a_mistake(
    mistake: str, second: dict[str, object], options: tuple[str, ...], project: Path
) -> None:
    assert evaluate(turns=TURNS).exit_code == 0
    (project / "played.txt").unlink()
    result = evaluate(*options, **second)  # type: ignore[arg-type]
    assert isinstance(result.exception, DeveloperError)
    assert mistake in str(result.exception)
    assert exit_code(result.exception) in (2, 3)
    assert not (project / "played.txt").exists()
    assert evaluate("--resume", turns=TURNS).exit_code == 0
    assert not (project / "played.txt").exists(), "the results of the earlier evaluation were lost"


def test_an_error_during_a_run_loses_no_other_result(project: Path) -> None:
    result = evaluate("--junit", "junit.xml", caller={"script": "callers_of_mine:fails"})
    assert result.exit_code == 1
    first, second = json.loads(result.stdout)["runs"]
    assert first["passed"]
    assert second["errors"] == ["the caller or a judge raised ConfigurationError: no such table"]
    assert (project / "junit.xml").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_file_that_cannot_be_written_loses_neither_the_report_nor_other_files(project: Path) -> None:
    result = evaluate("--junit", "/dev/full", "--html", "page.html", "--save", "/dev/full", turns=TURNS)
    assert isinstance(result.exception, DeveloperError)
    assert str(result.exception).count("/dev/full cannot be written: No space left on device.") == 2
    assert [run["passed"] for run in json.loads(result.stdout)["runs"]] == [True, True]
    assert (project / "page.html").exists()
